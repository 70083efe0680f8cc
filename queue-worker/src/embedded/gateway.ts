/** What stands before PostgREST in a Supabase project: the path /rest/v1, the check of the key, nothing else. */
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import { pipeline } from 'node:stream'
import { decide, type Keys } from './access.ts'
import { listen, loopback } from './ports.ts'

export type Gateway = { readonly port: number; close(): Promise<void> }

export type GatewayOptions = {
  readonly postgrestPort: number
  readonly keys: Keys
  readonly preferredPort: number
}

const prefix = '/rest/v1'
/** Headers of one connection, which say nothing about the next. */
const hopHeaders = ['connection', 'keep-alive', 'proxy-authorization', 'te', 'upgrade', 'expect', 'apikey']

export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  // PostgREST closes what has been idle for 30 s; we do it earlier, so that no request meets a closing connection.
  const agent = new Agent({ keepAlive: true, timeout: 10_000 })
  const server = createServer((incoming, answer) => handle(incoming, answer, options, agent))
  server.keepAliveTimeout = 65_000
  const port = await listen(server, options.preferredPort)
  return {
    port,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      agent.destroy()
    },
  }
}

function handle(
  incoming: IncomingMessage,
  answer: ServerResponse,
  options: GatewayOptions,
  agent: Agent,
): void {
  // By hand: what clients send is not always what the class URL takes, and PostgREST is to get it unchanged.
  const [, pathname = '', search = ''] = /^([^?]*)\??(.*)$/s.exec(incoming.url ?? '') ?? []
  if (pathname !== prefix && !pathname.startsWith(`${prefix}/`)) {
    sendJson(answer, 404, { message: 'no Route matched with those values' })
    return
  }
  const headers = { ...incoming.headers }
  const apikey = single(headers.apikey) ?? new URLSearchParams(search).get('apikey') ?? undefined
  const { authorization, 'user-agent': userAgent } = headers
  // A browser asks for permission (OPTIONS) before it may send a key.
  if (incoming.method !== 'OPTIONS') {
    const decision = decide({ apikey, authorization, userAgent }, options.keys)
    if ('refusal' in decision) {
      sendJson(answer, 401, decision.refusal)
      return
    }
    headers.authorization = decision.authorization
  }
  for (const name of hopHeaders) delete headers[name]
  const query = search.split('&').filter((part) => part !== '' && !part.startsWith('apikey='))
  const path = (pathname.slice(prefix.length) || '/') + (query.length > 0 ? `?${query.join('&')}` : '')
  const { method } = incoming
  const outgoing = request({ host: loopback, port: options.postgrestPort, method, path, headers, agent })
  outgoing.once('response', (reply) => {
    const replyHeaders = { ...reply.headers }
    delete replyHeaders.connection
    delete replyHeaders['keep-alive']
    answer.writeHead(reply.statusCode ?? 502, replyHeaders)
    pipeline(reply, answer, () => {})
  })
  outgoing.once('error', () => {
    if (answer.headersSent) answer.destroy()
    else sendJson(answer, 503, { message: 'PostgREST does not answer' })
  })
  answer.once('close', () => {
    if (!answer.writableFinished) outgoing.destroy()
  })
  // Not a pipeline: that would close the client's connection when PostgREST is away, before it gets an answer.
  incoming.pipe(outgoing)
}

function single(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value
}

function sendJson(answer: ServerResponse, status: number, body: unknown): void {
  answer.writeHead(status, { 'content-type': 'application/json; charset=utf-8' })
  answer.end(JSON.stringify(body))
}
