/** A receiver of callbacks, as somebody else would run it: it verifies signatures, and is out of order once if asked to. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import { listen, loopback } from '../embedded/ports.ts'
import { webhookHeaders } from '../services/http/signing.ts'

export type Heard = { readonly status: number; readonly verified: boolean }

export type DemoReceiver = {
  /** Answers 200. */
  readonly url: string
  /** Answers 500 to each callback's first try, then 200. */
  readonly busyUrl: string
  /** What came under this webhook-id. */
  heard(id: string): readonly Heard[]
  close(): Promise<void>
}

export async function startDemoReceiver(secrets: readonly string[]): Promise<DemoReceiver> {
  const heard = new Map<string, Heard[]>()
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const id = header(request, 'webhook-id')
    const signed = { id, timestamp: Number(header(request, 'webhook-timestamp')), body: await text(request) }
    const verified =
      webhookHeaders(signed, secrets)['webhook-signature'] === header(request, 'webhook-signature')
    const earlier = heard.get(id) ?? []
    const isBusy = request.url === '/busy-at-first' && earlier.length === 0
    const status = !verified ? 401 : isBusy ? 500 : 200
    heard.set(id, [...earlier, { status, verified }])
    response.writeHead(status).end()
  }
  // One that is cut off is the caller's business.
  const server = createServer(
    (request, response) => void answer(request, response).catch(() => response.destroy()),
  )
  const port = await listen(server, 0)
  const origin = `http://${loopback}:${port}`
  return {
    url: `${origin}/orders`,
    busyUrl: `${origin}/busy-at-first`,
    heard: (id) => heard.get(id) ?? [],
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function header(request: IncomingMessage, name: string): string {
  return String(request.headers[name] ?? '')
}
