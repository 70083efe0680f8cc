/** Messages for a server that cannot be used now: they wait, but not for ever. When it is tried again is mostly the breaker's matter. */
import { OutageError, UnrecoverableError } from '../errors.ts'
import type { ProcessorContext } from './define.ts'

/** How long messages wait for a server unless it is set: 5 days, as mail servers do. */
export const FIVE_DAYS_SECONDS = 5 * 24 * 60 * 60

/** The error to throw for this one: itself, unless it tells of an outage and the message is older than it may be. */
export function unlessTooOld(
  error: unknown,
  { enqueuedAt }: Pick<ProcessorContext, 'enqueuedAt'>,
  giveUpAfterSeconds: number,
): unknown {
  if (!(error instanceof OutageError)) return error
  const ageSeconds = ageOf(enqueuedAt)
  if (ageSeconds <= giveUpAfterSeconds) return error
  const given = `Given up after ${Math.round(ageSeconds)} s. ${error.message}`
  return new UnrecoverableError(given, { cause: error })
}

/** Two clocks, ours and the database's: where ours is behind, a message is new, not younger than that. */
export function ageOf(enqueuedAt: Date): number {
  return Math.max(0, (Date.now() - enqueuedAt.getTime()) / 1000)
}

/**
 * How long a message waits where an outage is not that of all messages in its queue, so that no breaker may open: a quarter of its age,
 * from 10 s to 5 min, give or take a quarter so that messages do not come back as one.
 */
export function serverWaitSeconds(ageSeconds: number, random: () => number = Math.random): number {
  const wait = Math.min(300, Math.max(10, ageSeconds / 4))
  return Math.round(wait * (0.75 + random() / 2))
}
