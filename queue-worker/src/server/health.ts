/** The endpoints that platforms ask: is the process alive, can it work. Tells nothing secret. */
import { createServer, type ServerResponse } from 'node:http'
import type { Health } from '../engine/health.ts'
import { SetupError } from '../errors.ts'

export type HealthServer = { readonly url: string; close(): Promise<void> }

/**
 * `/livez` answers as long as the process does. `/readyz` and `/health` (also `/api/health`) answer 503 while the worker
 * cannot work. @throws SetupError when the port is taken.
 */
export async function serveHealth(options: {
  host: string
  port: number
  health: () => Health
}): Promise<HealthServer> {
  const { host, port, health } = options
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? '/', 'http://localhost').pathname
    if (request.method !== 'GET' && request.method !== 'HEAD')
      return answer(response, 405, { error: 'use GET' })
    if (path === '/livez') return answer(response, 200, { status: 'ok' })
    if (path === '/readyz' || path === '/health' || path === '/api/health') {
      const { ready, ...rest } = health()
      return answer(response, ready ? 200 : 503, { status: ready ? 'ok' : 'unavailable', ...rest })
    }
    answer(response, 404, { error: 'not found', paths: ['/health', '/livez', '/readyz'] })
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        new SetupError(
          error.code === 'EADDRINUSE'
            ? `port ${port} on ${host} is taken`
            : `cannot listen on ${host}:${port}: ${error.message}`,
          'Set PORT to a free port, or PORT=off to do without the health endpoint',
          { cause: error },
        ),
      ),
    )
    server.listen(port, host, resolve)
  })
  const address = server.address()
  const actual = typeof address === 'object' && address !== null ? address.port : port
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${actual}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, {
    'content-type': 'application/json; charset=utf-8',
    'cache-control': 'no-store',
  })
  response.end(`${JSON.stringify(body)}\n`)
}
