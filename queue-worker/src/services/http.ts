/** Makes callbacks over HTTP: guarded against addresses that are not meant, signed, with a time limit. */
import { createSecureContext } from 'node:tls'
import { coerceError, UnrecoverableError } from '../errors.ts'
import { cleanReply } from '../utils/clean-reply.ts'
import { followAbort } from '../utils/follow-abort.ts'
import { createRedactor } from '../utils/redact.ts'
import { packageVersion } from '../version.ts'
import { byNetwork } from './failures/network.ts'
import { createAddressGuard, type GuardSettings } from './http/address-guard.ts'
import { type Answer, exchange } from './http/exchange.ts'
import { webhookHeaders, webhookId } from './http/signing.ts'
import { trustedAuthorities } from './network.ts'

export type CallbackClientSettings = GuardSettings & {
  /** `whsec_` and base64; requests are signed with each. None: they are not signed. */
  readonly secrets: readonly string[]
  /** PEM file with further authorities to trust, beside the system's. */
  readonly caFile?: string | undefined
}

export type Callback = {
  /** What the message is known by over all its deliveries; see ProcessorContext.originKey. */
  readonly originKey: string
  readonly url: string
  readonly method: string
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | undefined
  /** From the name's lookup to the answer's status, all redirects included. */
  readonly timeoutMs: number
}

export type CallbackAnswer = {
  readonly status: number
  /** Scheme, host and port of who answered: paths and queries often hold secrets. */
  readonly origin: string
  /** The origin of a redirect that was not followed; null where there is none. */
  readonly redirectedTo: string | null
  readonly retryAfter: string | undefined
  /** The answer's Date header. */
  readonly date: string | undefined
  /** One line of its body, without secrets; empty for a success. */
  readonly excerpt: string
}

export type CallbackClient = {
  /**
   * Resolves with any answer. Throws RefusedAddressError for an address that is not allowed, the signal's reason when it is
   * aborted, and Error when no answer came: nobody knows then whether the receiver got it.
   */
  send(callback: Callback, signal: AbortSignal): Promise<CallbackAnswer>
}

const MAX_REDIRECTS = 3

/** Throws SetupError for a CA file that cannot be used. Connects only when there is something to send. */
export function createCallbackClient(settings: CallbackClientSettings): CallbackClient {
  const { secrets, caFile } = settings
  const guard = createAddressGuard(settings)
  // Made once: reading all authorities anew for each connection would keep the worker busy.
  const secureContext =
    caFile === undefined
      ? undefined
      : createSecureContext({ ca: trustedAuthorities(caFile, 'HTTP_CALLBACKS_CA_FILE') })

  return {
    async send(callback, signal) {
      const stop = new AbortController()
      const limit = { isOver: false }
      const timer = setTimeout(() => {
        limit.isOver = true
        stop.abort()
      }, callback.timeoutMs)
      const unfollow = followAbort(stop, signal, () => 0)
      try {
        return await follow(callback, stop.signal)
      } catch (thrown) {
        signal.throwIfAborted()
        if (!limit.isOver || thrown instanceof UnrecoverableError) throw thrown
        throw new Error(`${new URL(callback.url).origin} did not answer within ${callback.timeoutMs} ms`)
      } finally {
        clearTimeout(timer)
        unfollow()
      }
    },
  }

  async function follow(callback: Callback, signal: AbortSignal): Promise<CallbackAnswer> {
    const { method, body, originKey } = callback
    const timestamp = Math.floor(Date.now() / 1000)
    const headers = {
      'user-agent': `queue-worker/${packageVersion()}`,
      accept: '*/*',
      ...callback.headers,
      ...webhookHeaders({ id: webhookId(originKey), timestamp, body: body ?? '' }, secrets),
    }
    const request = { method, headers, body, lookup: guard.lookup, secureContext, signal }
    let url = new URL(callback.url)
    for (let redirects = 0; ; redirects += 1) {
      guard.checkUrl(url)
      const answer = await exchange(url, request).catch((thrown: unknown) => {
        throw thrown instanceof UnrecoverableError ? thrown : unanswered(url, coerceError(thrown))
      })
      const next = redirectTarget(answer, url)
      const isFollowed = next?.origin === url.origin && (answer.status === 307 || answer.status === 308)
      if (next === null || !isFollowed || redirects === MAX_REDIRECTS)
        return read(answer, url, next, callback)
      url = next
    }
  }

  function read(answer: Answer, url: URL, next: URL | null, callback: Callback): CallbackAnswer {
    const { status } = answer
    // Receivers like to tell what they were sent.
    const clean = () => createRedactor([...secrets, ...secretsOf(callback)]).text(answer.text)
    return {
      status,
      origin: url.origin,
      // That of a file, say, is the word null.
      redirectedTo: next?.origin === 'null' ? next.protocol : (next?.origin ?? null),
      retryAfter: answer.headers['retry-after'],
      date: answer.headers.date,
      excerpt: status >= 200 && status < 300 ? '' : cleanReply(clean()),
    }
  }
}

function redirectTarget({ status, headers: { location } }: Answer, base: URL): URL | null {
  if (status < 300 || status > 399 || location === undefined) return null
  return URL.parse(location, base.href)
}

function unanswered(url: URL, error: Error): Error {
  const told = byNetwork(error, { transport: 'rpc', target: url.origin, host: url.hostname })
  const what = told?.what ?? (cleanReply(error.message) || 'the connection failed')
  return new Error(`no answer from ${url.origin}: ${what}`, { cause: error })
}

/** The values of its headers, and what looks like a token in its url. */
function secretsOf({ url, headers }: Callback): string[] {
  const { pathname, searchParams } = new URL(url)
  const inPath = pathname.split('/').filter((part) => part.length >= 16)
  const inHeaders = Object.entries(headers).filter(([name]) => !/^(content-type|accept.*)$/.test(name))
  const tokens = inHeaders.flatMap(([, value]) => [value, ...value.split(' ').slice(1)])
  // Shorter ones, such as ?verbose=true, would make answers unreadable.
  return [...searchParams.values(), ...inPath, ...tokens].filter(({ length }) => length >= 8)
}
