/** Reads the JSON or the form that a request brings, without trusting anything about it. */
import type { IncomingMessage } from 'node:http'
import { coerceError } from '../errors.ts'

export type Body = { readonly value: unknown } | { readonly status: 400 | 413 | 415; readonly error: string }

/** Rejects when who sends it hangs up before the end. */
export async function readJson(request: IncomingMessage, maxBytes: number): Promise<Body> {
  const { 'content-type': type = '', 'content-encoding': encoding = 'identity' } = request.headers
  if (!/^application\/json\s*(?:;\s*charset="?utf-8"?\s*)?$/i.test(type))
    return { status: 415, error: 'send JSON in UTF-8, with Content-Type: application/json' }
  if (encoding.toLowerCase() !== 'identity')
    return { status: 415, error: 'send the body as it is, without Content-Encoding' }
  const bytes = await readBytes(request, maxBytes)
  if (bytes === null) return { status: 413, error: `the body is larger than ${maxBytes} bytes` }
  try {
    return { value: JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) }
  } catch (error) {
    return { status: 400, error: `the body is no JSON: ${coerceError(error).message}` }
  }
}

/** What a page's form sends: small, and of the one type that forms without files have. Null: it is not. */
export async function readForm(request: IncomingMessage, maxBytes: number): Promise<URLSearchParams | null> {
  const { 'content-type': type = '' } = request.headers
  if (!/^application\/x-www-form-urlencoded\s*(?:;\s*charset="?utf-8"?\s*)?$/i.test(type)) return null
  const bytes = await readBytes(request, maxBytes)
  return bytes === null ? null : new URLSearchParams(bytes.toString('utf8'))
}

/** Null: there are more. */
async function readBytes(request: IncomingMessage, maxBytes: number): Promise<Buffer | null> {
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) return null
  const chunks: Buffer[] = []
  let length = 0
  // Leaving the loop early would end the connection, and with it the answer.
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    length += chunk.length
    if (length > maxBytes) return null
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
