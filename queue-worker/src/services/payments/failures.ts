/** What a failed call to a provider over HTTP means for the message. Pure, the same for all providers. */
import { OutageError, UncertainEffectError, UnrecoverableError } from '../../errors.ts'
import { KeyRefusedError, KeySpentError, PatienceAskedError } from './contract.ts'

export type HttpFailure = {
  /** Undefined: no answer came. */
  readonly status: number | undefined
  /** Seconds, or a date, as the header says it. */
  readonly retryAfter?: string | null | undefined
  /** The answer is one that was given to this key before. */
  readonly isReplayed?: boolean
  /** What the provider said, without secrets. */
  readonly said: string
  readonly cause: unknown
}

/** The longest wait that is believed. */
const MAX_RETRY_SECONDS = 3600

/** Answers of whatever stands before a provider that does not run. 500 may be about this one call. */
const DOWN = new Set([502, 503, 504])
/** No connection came about, so nothing was asked. */
const UNREACHED = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH'])

/**
 * `movesMoney`: the call would have changed something, so that no answer means that nobody knows. An OutageError means that
 * nothing was done and that others would fare no better; it is the cause of an UncertainEffectError whose provider is down.
 */
export function providerFailure(
  name: string,
  failure: HttpFailure,
  movesMoney: boolean,
  now = Date.now(),
): Error {
  const { status, said } = failure
  const options = { cause: failure.cause }
  const what = (text: string) => `${name} ${text}: ${said}`
  const outage = (text: string, cause = failure.cause) =>
    new OutageError(what(text), { cause, retryAfterSeconds: waitSeconds(failure.retryAfter, now) })
  if (status === 429) {
    const text = 'asks for patience (429)'
    return outage(text, new PatienceAskedError(what(text), options))
  }
  if (status === 401 || status === 403) {
    const refused = new KeyRefusedError(what(`refuses our key (${status})`), options)
    // 403 may be about this one operation.
    return status === 403 ? refused : new OutageError(refused.message, { cause: refused })
  }
  if (status !== undefined && status < 500 && status !== 408 && status !== 409) {
    return new UnrecoverableError(what(`refuses this (${status})`), options)
  }
  if (status === undefined && wasNotReached(failure.cause)) return outage('cannot be reached')
  const told = status === undefined ? 'did not answer' : `failed (${status})`
  if (!movesMoney)
    return status === undefined || DOWN.has(status) ? outage(told) : new Error(what(told), options)
  if (failure.isReplayed && status !== undefined && status >= 500) {
    return new KeySpentError(what(`has kept its failure (${status}) for this key`), options)
  }
  const cause = status !== undefined && DOWN.has(status) ? outage(told) : failure.cause
  return new UncertainEffectError(`${what(told)}. Whether it was done is asked next.`, { cause })
}

/** Clients wrap what the system said, Stripe's in a field of its own. */
function wasNotReached(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false
  if ('code' in error && UNREACHED.has(String(error.code))) return true
  return [Reflect.get(error, 'cause'), Reflect.get(error, 'detail')].some(wasNotReached)
}

function waitSeconds(header: string | null | undefined, now: number): number | undefined {
  const text = header?.trim() ?? ''
  const seconds = /^\d{1,9}$/.test(text) ? Number(text) : (Date.parse(text) - now) / 1000
  return Number.isFinite(seconds) ? Math.min(MAX_RETRY_SECONDS, Math.max(0, seconds)) : undefined
}
