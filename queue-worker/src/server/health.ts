/** The endpoints that platforms ask: is the process alive, can it work, what does it do. Tells nothing secret. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { stuckBecause } from '../engine/health.ts'
import type { PartHealth } from '../engine/part-health.ts'
import type { Stuck } from '../engine/pulse.ts'
import { SetupError } from '../errors.ts'
import { answer, write } from './answer.ts'
import { PROMETHEUS_TYPE } from './metrics.ts'
import { type Route, takenByRoute } from './route.ts'

/** How it is. More may be told with it. */
export type Answer = {
  readonly ready: boolean
  readonly state?: string
  readonly stuck: Stuck | null
  readonly parts: readonly PartHealth[]
}

/** The metrics of this moment; never rejects. */
export type Told = { text(): Promise<string>; json(): Promise<unknown> }

export type HealthServer = { readonly url: string; close(): Promise<void> }

/** Headers come at once. What follows them is waited for only where a token was shown, or a small form may bring one; nobody else may hold a connection, or memory, for long. */
const LIMITS = {
  headersTimeout: 5000,
  requestTimeout: 30_000,
  keepAliveTimeout: 5000,
  connectionsCheckingInterval: 1000,
  maxHeaderSize: 8192,
}
const MAX_CONNECTIONS = 500

const HEALTH = ['/health', '/api/health', '/readyz']
const METRICS = ['/metrics', '/metrics.json']

/**
 * `/livez` answers 503 when only a new process helps. `/readyz` and `/health` (also `/api/health`) do while the worker
 * cannot work, and tell how each part is. `/metrics` is for Prometheus; with `Accept: application/json`, or as `/metrics.json`, for people. @throws SetupError when the port is taken.
 */
export async function serveHealth(options: {
  host: string
  port: number
  health: () => Answer
  metrics?: Told | undefined
  routes?: readonly Route[] | undefined
}): Promise<HealthServer> {
  const { host, port, health, metrics, routes = [] } = options
  const known = [...HEALTH, '/livez', ...(metrics === undefined ? [] : METRICS)]
  const paths = [...known, ...routes.map(({ path }) => path)]
  const server = createServer(LIMITS, (request, response) => {
    // Not by URL: anybody may ask for "//", which is none, and an error here would end the worker.
    const [path = '/'] = (request.url ?? '/').split('?')
    if (takenByRoute(routes, path, request, response)) return
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('allow', 'GET, HEAD')
      // Whatever body it has is not waited for.
      response.setHeader('connection', 'close')
      return answer(response, 405, { error: 'use GET' })
    }
    if (path === '/livez') return answerAlive(response, health().stuck)
    if (!known.includes(path)) return answer(response, 404, { error: 'not found', paths })
    if (metrics !== undefined && METRICS.includes(path)) return tell(metrics, request, response)
    const { ready, ...rest } = health()
    const isWell = rest.parts.every(({ state }) => state === 'ok')
    const well = rest.state === 'sleeping' ? 'sleeping' : isWell ? 'ok' : 'degraded'
    const status = ready ? well : 'unavailable'
    answer(response, ready ? 200 : 503, { status, ...rest })
  })
  server.maxConnections = MAX_CONNECTIONS
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(cannotListen(error, host, port)))
    server.listen(port, host, resolve)
  })
  // After this, a failure to accept a connection (too many open files) is no reason to end the worker.
  server.on('error', () => {})
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

function cannotListen(error: NodeJS.ErrnoException, host: string, port: number): SetupError {
  const off = 'or PORT=off to do without the health endpoint'
  const options = { cause: error }
  switch (error.code) {
    case 'EADDRINUSE':
      return new SetupError(
        `port ${port} on ${host} is taken by another program`,
        `Set PORT to a free port, ${off}`,
        options,
      )
    case 'EACCES':
      return new SetupError(
        `this user may not listen on port ${port}`,
        `Set PORT to one above 1023, ${off}`,
        options,
      )
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return new SetupError(
        `HOST ${host} is no address of this machine (${error.code})`,
        `Set HOST to 127.0.0.1 for this machine alone, to 0.0.0.0 for all its networks, ${off}`,
        options,
      )
    default:
      return new SetupError(
        `cannot listen on ${host}:${port}: ${error.message}`,
        `Check HOST and PORT, ${off}`,
        options,
      )
  }
}

function answerAlive(response: ServerResponse, stuck: Stuck | null): void {
  if (stuck === null) answer(response, 200, { status: 'ok' })
  else answer(response, 503, { status: 'stuck', reason: stuckBecause(stuck) })
}

/** Neither of them rejects; who has gone meanwhile is answered all the same. */
function tell(metrics: Told, { url = '', headers }: IncomingMessage, response: ServerResponse): void {
  const wantsJson = url.startsWith('/metrics.json') || /\bapplication\/json\b/.test(headers.accept ?? '')
  if (wantsJson) void metrics.json().then((told) => answer(response, 200, told))
  else void metrics.text().then((text) => write(response, 200, PROMETHEUS_TYPE, text))
}
