/** What the local servers in place of payment providers share: requests, idempotency keys, and faults on demand. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/**
 * rate_limited: 429 with Retry-After. fails: an answer 500, nothing done. fails_late: done, but the answer is 500.
 * cut: the connection ends before anything is done. cut_late: it is done, and then the connection ends. down_late: it is done, but
 * what stands before the server answers 503.
 */
export type Fault = 'rate_limited' | 'fails' | 'fails_late' | 'cut' | 'cut_late' | 'down_late'

export type FakeRequest = {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: IncomingMessage['headers']
  readonly body: string
  readonly key: string | undefined
}
export type FakeAnswer = {
  readonly status: number
  readonly body: unknown
  readonly headers?: Record<string, string>
  /** The answer of an endpoint that did something: kept for the key. */
  readonly isKept?: boolean
}

export type FakeApi = {
  readonly url: string
  /** All that came, in order. */
  readonly requests: readonly FakeRequest[]
  /** For the next requests that change something, one each. */
  readonly faults: Fault[]
  /** Called when something was done, before it is answered. */
  onDone: (request: FakeRequest) => Promise<void> | void
  /** As a day later: no key is known any more. */
  forgetKeys(): void
  stop(): Promise<void>
}

export type FakeRules = {
  /** The header of idempotency keys, in small letters. */
  readonly keyHeader: string
  handle(request: FakeRequest): FakeAnswer
  fault(status: 429 | 500 | 503): FakeAnswer
  /** The key was used for something else. */
  keyMisused(): FakeAnswer
  /** Whether the answer 500 is kept for its key, and so given again. */
  readonly keepsFailures: boolean
  /** A client that asks again by itself when its connection ends: that is cut, too. */
  readonly clientAsksTwice?: boolean
  /** Headers of an answer that is given again. */
  readonly replayed: Record<string, string>
}

export async function startFakeApi(rules: FakeRules): Promise<FakeApi> {
  const requests: FakeRequest[] = []
  const faults: Fault[] = []
  const cutAgain = new Set<string>()
  const kept = new Map<string, { print: string; answer: FakeAnswer }>()
  const api = { requests, faults, onDone: () => {} } as unknown as FakeApi & { url: string }

  async function answer(request: FakeRequest): Promise<FakeAnswer | 'cut'> {
    const changes = request.method === 'POST'
    const print = `${request.path} ${request.body}`
    if (cutAgain.delete(`${request.key}`)) return 'cut'
    const before = request.key === undefined ? undefined : kept.get(request.key)
    if (before !== undefined) {
      if (before.print !== print) return rules.keyMisused()
      return { ...before.answer, headers: { ...before.answer.headers, ...rules.replayed } }
    }
    const fault = changes ? faults.shift() : undefined
    if (fault?.startsWith('cut') && rules.clientAsksTwice) cutAgain.add(`${request.key}`)
    const keep = (given: FakeAnswer) => {
      if (request.key !== undefined && given.isKept) kept.set(request.key, { print, answer: given })
      return given
    }
    if (fault === 'rate_limited') return rules.fault(429)
    const failed = () => keep({ ...rules.fault(500), isKept: rules.keepsFailures })
    if (fault === 'fails') return failed()
    if (fault === 'cut') return 'cut'
    const done = rules.handle(request)
    if (fault === 'fails_late' && rules.keepsFailures) return failed()
    keep(done)
    if (changes) await api.onDone(request)
    if (fault === 'fails_late') return rules.fault(500)
    if (fault === 'down_late') return rules.fault(503)
    return fault === 'cut_late' ? 'cut' : done
  }

  async function serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = ''
    incoming.setEncoding('utf8')
    for await (const chunk of incoming) body += chunk
    const { pathname: path, searchParams: query } = new URL(incoming.url ?? '/', 'http://fake')
    const header = incoming.headers[rules.keyHeader]
    const key = typeof header === 'string' ? header : undefined
    const request = { method: incoming.method ?? '', path, query, headers: incoming.headers, body, key }
    requests.push(request)
    const given = await answer(request)
    if (given === 'cut') return void incoming.socket.destroy()
    response.writeHead(given.status, { 'content-type': 'application/json', ...given.headers })
    response.end(JSON.stringify(given.body))
  }

  const server: Server = createServer((incoming, response) => {
    serve(incoming, response).catch((error: unknown) => response.destroy(error as Error))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return Object.assign(api, {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    forgetKeys: () => kept.clear(),
    stop: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  })
}
