/** A receiver of callbacks: a real HTTP server on 127.0.0.1 that keeps what it got and answers as the test says. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Certificate } from './certificates.ts'
import { listenOn } from './ports.ts'

export type Received = {
  readonly method: string
  /** With its query. */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export type Receiver = {
  readonly port: number
  /** http(s)://127.0.0.1:port */
  readonly origin: string
  readonly received: Received[]
  /** Connections that are open now. */
  open(): number
  stop(): Promise<void>
}

/** 200 without a body, unless the test says otherwise. */
export async function startReceiver(
  answer: (request: Received, response: ServerResponse) => void = (_request, response) => response.end(),
  certificate?: Certificate,
): Promise<Receiver> {
  const received: Received[] = []
  const onRequest = async (request: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = []
    try {
      for await (const chunk of request) chunks.push(chunk)
    } catch {
      return // it was cut off
    }
    const { method = '', url: path = '' } = request
    const headers = Object.fromEntries(
      Object.entries(request.headers).map(([name, value]) => [name, String(value)]),
    )
    const one = { method, path, headers, body: Buffer.concat(chunks).toString() }
    received.push(one)
    answer(one, response)
  }
  const server =
    certificate === undefined ? createServer(onRequest) : createSecureServer(certificate, onRequest)
  let open = 0
  server.on('connection', (socket) => {
    open += 1
    socket.once('close', () => {
      open -= 1
    })
  })
  await listenOn(server, 0)
  const { port } = server.address() as AddressInfo
  return {
    port,
    origin: `${certificate === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    received,
    open: () => open,
    async stop() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
