/** What the answer to a callback means for its message. Pure, so that every case stands in a table of the tests. */
import { RetryAfterError, UnrecoverableError } from '../errors.ts'
import type { CallbackAnswer } from '../services/http.ts'

/** Try again: too slow, too early, too many. And all of 5xx. */
const TEMPORARY = new Set([408, 425, 429])
const LONGEST_WAIT_SECONDS = 24 * 60 * 60

/**
 * Returns for a success (2xx). Throws RetryAfterError or Error for what may pass, UnrecoverableError for what will not.
 * `attempt` counts from 1, `nowMs` is the wall clock, `random` gives numbers from 0 up to 1.
 */
export function judge(
  answer: CallbackAnswer,
  attempt: number,
  nowMs: number,
  random: () => number = Math.random,
): void {
  const { status, origin, redirectedTo, excerpt } = answer
  if (status >= 200 && status < 300) return
  const said = excerpt === '' ? '' : `: ${excerpt}`
  if (status >= 500 || TEMPORARY.has(status)) {
    const asked = retryAfterSeconds(answer, nowMs)
    const what = `${origin} answered ${status}${said}`
    if (asked === null) throw new Error(what)
    // Who asks for a second each time must not get all attempts within seconds.
    const seconds = Math.min(LONGEST_WAIT_SECONDS, Math.max(asked, 2 ** (attempt - 1)))
    // Messages that were put off together need not come back together.
    throw new RetryAfterError(seconds * (1 + random() / 10), `${what} (it asked for ${asked} s)`)
  }
  if (redirectedTo !== null)
    throw new UnrecoverableError(
      `${origin} answered ${status}, a redirect to ${redirectedTo} that is not followed: give the url it leads to`,
    )
  if (status === 410)
    throw new UnrecoverableError(`${origin} answered 410: it wants no more of these callbacks${said}`)
  throw new UnrecoverableError(`${origin} refused the callback with ${status}${said}`)
}

/**
 * The header Retry-After, a number of seconds or a date, as seconds from 1 to a day; null where there is none that makes
 * sense. A date is compared with the clock of who wrote it, if it told.
 */
export function retryAfterSeconds(
  { retryAfter, date }: Pick<CallbackAnswer, 'retryAfter' | 'date'>,
  nowMs: number,
): number | null {
  const text = retryAfter?.trim() ?? ''
  const seconds = /^\d{1,10}$/.test(text) ? Number(text) : secondsUntil(text, date, nowMs)
  return Number.isNaN(seconds) ? null : Math.min(LONGEST_WAIT_SECONDS, Math.max(1, Math.ceil(seconds)))
}

function secondsUntil(text: string, date: string | undefined, nowMs: number): number {
  // Date.parse takes far more than HTTP's dates, such as "-5".
  if (!/^[A-Z][a-z]+,? /.test(text)) return Number.NaN
  const theirs = Date.parse(date ?? '')
  return (Date.parse(text) - (Number.isNaN(theirs) ? nowMs : theirs)) / 1000
}
