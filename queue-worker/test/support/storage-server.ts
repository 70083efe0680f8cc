/** A server that answers as the REST API of Supabase Storage does, with files in memory, and errors on demand. */
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'

export type StoredFile = { content: Buffer; type: string }
export type Trouble = { status: number; body?: object | string; headers?: Record<string, string> }

export type StorageServer = Awaited<ReturnType<typeof startStorageServer>>

export async function startStorageServer(key: string, bucket: string) {
  const files = new Map<string, StoredFile>()
  const uploads: string[] = []
  /** The next answers, for requests whose "POST /path" matches. */
  const troubles: { pattern: RegExp; trouble: Trouble }[] = []
  const missing = (what: 'Bucket' | 'Object'): Trouble => ({
    status: 400,
    body: {
      statusCode: '404',
      error: what === 'Bucket' ? 'Bucket not found' : 'not_found',
      message: `${what} not found`,
    },
  })

  async function answer(request: IncomingMessage): Promise<Trouble & { file?: StoredFile }> {
    const url = new URL(request.url ?? '', 'http://x')
    const { method = '' } = request
    const body = await bodyOf(request)
    const at = troubles.findIndex(({ pattern }) => pattern.test(`${method} ${url.pathname}`))
    if (at >= 0) return troubles.splice(at, 1)[0]?.trouble ?? { status: 500 }
    const path = url.pathname.replace(/^\/storage\/v1\/object\//, '')
    const token = url.searchParams.get('token')
    if (request.headers.authorization !== `Bearer ${key}` && token === null) {
      return {
        status: 400,
        body: { statusCode: '403', error: 'Unauthorized', message: 'Invalid Compact JWS' },
      }
    }
    const [, kind = '', inBucket = '', name = ''] =
      /^(?:(info|sign|authenticated)\/)?([^/]+)\/(.+)$/.exec(path) ?? []
    if (inBucket !== bucket) return missing('Bucket')
    const file = files.get(name)
    if (method === 'POST' && kind === '') {
      if (file && request.headers['x-upsert'] !== 'true') {
        return {
          status: 400,
          body: { statusCode: '409', error: 'Duplicate', message: 'The resource already exists' },
        }
      }
      const form = await new Response(new Uint8Array(body), {
        headers: { 'content-type': request.headers['content-type'] ?? '' },
      }).formData()
      const part = form.get('')
      if (!(part instanceof Blob)) return { status: 400, body: { statusCode: '400', message: 'no file' } }
      files.set(name, { content: Buffer.from(await part.arrayBuffer()), type: part.type })
      uploads.push(name)
      return { status: 200, body: { Id: 'an id', Key: `${bucket}/${name}` } }
    }
    if (file === undefined) return missing('Object')
    if (method === 'POST' && kind === 'sign') {
      const { expiresIn } = JSON.parse(body.toString())
      return { status: 200, body: { signedURL: `/object/sign/${bucket}/${name}?token=for-${expiresIn}` } }
    }
    if (kind === 'info') {
      return { status: 200, body: { id: '1', name, size: file.content.length, content_type: file.type } }
    }
    return { status: 200, file }
  }

  const server = createServer(async (request, response) => {
    const { status, body = {}, headers = {}, file } = await answer(request)
    if (file) return response.writeHead(status, { 'content-type': file.type }).end(file.content)
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(text)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    files,
    uploads,
    /** Answers the next matching request with this, and no more. */
    fail: (pattern: RegExp, trouble: Trouble) => void troubles.push({ pattern, trouble }),
    async stop() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  return Buffer.concat(chunks)
}
