/** What a failed call to a provider over HTTP means for the message. Pure, the same for all providers. */
import { RetryAfterError, UncertainEffectError, UnrecoverableError } from '../../errors.ts'
import { KeyRefusedError, KeySpentError } from './contract.ts'

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

/** Waits of a provider that says none, and the longest that is believed. */
const RETRY_SECONDS = 5
const MAX_RETRY_SECONDS = 3600

/** `movesMoney`: the call would have changed something, so that no answer means that nobody knows. */
export function providerFailure(
  name: string,
  failure: HttpFailure,
  movesMoney: boolean,
  now = Date.now(),
): Error {
  const { status, said } = failure
  const options = { cause: failure.cause }
  const what = (text: string) => `${name} ${text}: ${said}`
  if (status === 429) {
    return new RetryAfterError(waitSeconds(failure.retryAfter, now), what('asks for patience (429)'), options)
  }
  if (status === 401 || status === 403)
    return new KeyRefusedError(what(`refuses our key (${status})`), options)
  if (status !== undefined && status < 500 && status !== 408 && status !== 409) {
    return new UnrecoverableError(what(`refuses this (${status})`), options)
  }
  if (!movesMoney)
    return new Error(what(status === undefined ? 'did not answer' : `failed (${status})`), options)
  if (failure.isReplayed && status !== undefined && status >= 500) {
    return new KeySpentError(what(`has kept its failure (${status}) for this key`), options)
  }
  const unsure = status === undefined ? 'did not answer' : `failed (${status})`
  return new UncertainEffectError(`${what(unsure)}. Whether it was done is asked next.`, options)
}

function waitSeconds(header: string | null | undefined, now: number): number {
  const text = header?.trim() ?? ''
  const seconds = /^\d{1,9}$/.test(text) ? Number(text) : (Date.parse(text) - now) / 1000
  return Number.isFinite(seconds) ? Math.min(MAX_RETRY_SECONDS, Math.max(0, seconds)) : RETRY_SECONDS
}
