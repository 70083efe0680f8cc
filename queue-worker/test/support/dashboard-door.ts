/** The dashboard on the real server, with pages that need no database: one to look at, one that acts. */
import { request as ask, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http'
import { createAccess } from '../../src/dashboard/access/access.ts'
import type { AccessSettings } from '../../src/dashboard/access/settings.ts'
import type { Ground, Page } from '../../src/dashboard/asked.ts'
import { createDashboardRoute } from '../../src/dashboard/dashboard.ts'
import { html } from '../../src/dashboard/html.ts'
import { createBearer } from '../../src/server/bearer.ts'
import { createGuesses } from '../../src/server/guesses.ts'
import { serveHealth } from '../../src/server/health.ts'
import { createWakeRoute } from '../../src/server/wake.ts'
import { readNetwork } from '../../src/utils/networks.ts'

export const ADMIN = 'admin-token-0123456789abcdefghijkl'
export const VIEWER = 'viewer-token-0123456789abcdefghijkl'

/** As a browser says it of a page that somebody goes to. */
export const BROWSER = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' }
export const FORM = { ...BROWSER, 'content-type': 'application/x-www-form-urlencoded' }

export type Answer = {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  readonly cookies: readonly string[]
}

export type DoorBench = Awaited<ReturnType<typeof openDoor>>

export const trust = (...networks: string[]) => networks.flatMap((one) => readNetwork(one) ?? [])

export async function openDoor(given: Partial<AccessSettings> = {}) {
  const settings: AccessSettings = {
    ...{ path: '/dashboard', isOnThisMachine: false, operatorTokens: [], viewerTokens: [], users: null },
    trustedProxies: trust('127.0.0.0/8', '::1'),
    ...given,
  }
  const acted: string[] = []
  const lines: string[] = []
  const clock = { nowMs: Date.parse('2026-06-01T00:00:00Z') }
  const log = (...args: unknown[]) => void lines.push(JSON.stringify(args))
  const logger = { info: log, warn: log, error: log }
  const guesses = createGuesses(
    (where) => log(`wrong tokens: ${where}`),
    () => clock.nowMs,
  )
  const access = createAccess(settings, { guesses, logger, now: () => clock.nowMs })
  const look: Page = {
    ...{ pattern: /^\/(?:queues\/([^/]+))?$/, method: 'GET', role: 'viewer' },
    async answer({ visitor, base, found }) {
      const { name, role, csrf } = visitor
      const body = html`<p id="who">${name}|${role}|${csrf}|${base}|${found[0] ?? ''}</p>`
      return { kind: 'page', title: 'Look', body, live: true }
    },
  }
  const act: Page = {
    ...{ pattern: /^\/act$/, method: 'POST', role: 'operator' },
    async answer({ visitor, form }) {
      acted.push(`${visitor.name}: ${form.get('what')}`)
      return { kind: 'redirect', to: '/' }
    },
  }
  const file: Page = {
    ...{ pattern: /^\/file$/, method: 'GET', role: 'viewer' },
    answer: async () => ({ kind: 'file', type: 'text/plain', body: 'a file' }),
  }
  const ground: Ground = { processors: [], ask: () => Promise.reject(new Error('there is no database')) }
  const pages = [look, act, file]
  const sections = [{ path: '/', name: 'Queues' }]
  const route = createDashboardRoute({
    ...{ path: settings.path, baseOf: access.baseOf, access, ground, pages, sections, logger },
  })
  const wake = createWakeRoute({ wake: () => false, bearer: createBearer([ADMIN], guesses, '/wake') })
  const health = () => ({ ready: true, stuck: null, parts: [] })
  const server = await serveHealth({ host: '127.0.0.1', port: 0, health, routes: [wake, route] })
  const port = Number(new URL(server.url).port)

  function send(
    method: string,
    path: string,
    headers: OutgoingHttpHeaders = BROWSER,
    body: string | Buffer = '',
  ): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const sent = { host: `127.0.0.1:${port}`, ...headers, 'content-length': Buffer.byteLength(body) }
      const request = ask(
        { host: '127.0.0.1', port, method, path, headers: sent, agent: false },
        (answer) => {
          const chunks: Buffer[] = []
          answer.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', reject)
          answer.on('end', () => {
            const { statusCode: status = 0, headers } = answer
            const text = Buffer.concat(chunks).toString()
            resolve({ status, headers, text, cookies: headers['set-cookie'] ?? [] })
          })
        },
      )
      request.on('error', reject).end(body)
    })
  }
  const get = (path = '/dashboard/', headers: OutgoingHttpHeaders = {}) =>
    send('GET', path, { ...BROWSER, ...headers })
  const post = (path: string, fields: Record<string, string>, headers: OutgoingHttpHeaders = {}) =>
    send('POST', path, { ...FORM, ...headers }, String(new URLSearchParams(fields)))

  return {
    ...{ settings, acted, lines, clock, server, port, send, get, post },
    /** Logs in, and tells the cookie as a browser would send it. */
    async cookieFor(token: string, headers: OutgoingHttpHeaders = {}): Promise<string> {
      const { cookies } = await post('/dashboard/login', { token, next: '/' }, headers)
      return (cookies[0] ?? '').split(';')[0] ?? ''
    },
    close: () => server.close(),
  }
}

/** What the page of `openDoor` tells of its visitor. */
export function seenBy({ text }: Pick<Answer, 'text'>) {
  const [name, role, csrf = '', base, found] = (/id="who">([^<]*)</.exec(text)?.[1] ?? '').split('|')
  return { name, role, csrf, base, found }
}
