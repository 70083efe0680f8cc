/** Messages for a server that cannot be used now: they wait, and none of their attempts is used up. */
import { UnrecoverableError } from '../errors.ts'
import { OutageError } from '../services/outage.ts'
import { type ProcessorContext, type Snooze, snooze } from './define.ts'

/** How long messages wait for a server unless it is set: 5 days, as mail servers do. */
export const FIVE_DAYS_SECONDS = 5 * 24 * 60 * 60

/**
 * What becomes of a message after this error: it waits. `what` is what the log calls it: "The mail".
 * @throws UnrecoverableError for a message older than `giveUpAfterSeconds`; any error that is no OutageError as it is.
 */
export function waitForServer(
  error: unknown,
  context: Pick<ProcessorContext, 'enqueuedAt' | 'logger'>,
  { what, giveUpAfterSeconds }: { readonly what: string; readonly giveUpAfterSeconds: number },
): Snooze {
  if (!(error instanceof OutageError)) throw error
  // Two clocks, ours and the database's: where ours is behind, a message is new, not younger than that.
  const ageSeconds = Math.max(0, (Date.now() - context.enqueuedAt.getTime()) / 1000)
  if (ageSeconds > giveUpAfterSeconds) {
    throw new UnrecoverableError(`Given up after ${Math.round(ageSeconds)} s. ${error.message}`, {
      cause: error,
    })
  }
  const waitSeconds = serverWaitSeconds(ageSeconds)
  context.logger.warn({ kind: error.kind }, `${what} waits ${waitSeconds} s: ${error.message}`)
  return snooze(waitSeconds)
}

/** A quarter of the message's age, from 10 s to 5 min, give or take a quarter so that messages do not come back as one. */
export function serverWaitSeconds(ageSeconds: number, random: () => number = Math.random): number {
  const wait = Math.min(300, Math.max(10, ageSeconds / 4))
  return Math.round(wait * (0.75 + random() / 2))
}
