/** Runs one message through its processor and tells how it ended. Never touches the queue; see settler for that. */
import { coerceError, LeaseLostError, TimeLimitError } from '../errors.ts'
import type { Processor } from '../processors/define.ts'
import type { Outcome } from '../queue/contract.ts'
import type { Message } from '../queue/message.ts'
import type { Run } from './context.ts'
import { failureOutcome, successOutcome } from './outcomes.ts'
import type { ConsumerSettings } from './settings.ts'

export type Ending = {
  /** Null: nothing is to be recorded, because the lease was lost. */
  readonly outcome: Outcome | null
  /** The processor has recorded its outcome itself, in a transaction. */
  readonly isRecorded?: boolean
  readonly ranMs: number
  readonly error?: Error
}

export type Execution = {
  /** The end, as far as the message is concerned; never rejects. */
  readonly ended: Promise<Ending>
  /** The end of the processor's code; later than `ended` when it was given up. Never rejects. */
  readonly finished: Promise<void>
  /** Stops waiting for a processor that ignores its abort; its message ends as failed with this error. */
  giveUp(error: Error): void
}

export function execute(
  processor: Processor,
  message: Message,
  settings: ConsumerSettings,
  run: Run,
  now: () => number,
): Execution {
  const startedMs = now()
  const givenUp = Promise.withResolvers<never>()
  const work = start(processor, message, run)
  const ended = Promise.race([work, givenUp.promise]).then(
    (result) => ending(result),
    (thrown) => failure(coerceError(thrown)),
  )
  givenUp.promise.catch(() => {})
  return { ended, finished: work.then(noop, noop), giveUp: givenUp.reject }

  function ending(result: unknown): Ending {
    const ranMs = now() - startedMs
    if (result instanceof InvalidPayload) {
      const outcome: Outcome = {
        kind: 'dead',
        reason: 'invalid_payload',
        error: result.message,
        attempts: message.failures + 1,
      }
      return { outcome, ranMs, error: result }
    }
    if (run.settled !== null) return { outcome: run.settled, isRecorded: true, ranMs }
    return { outcome: successOutcome(result, settings, run.sends), ranMs }
  }

  function failure(error: Error): Ending {
    const ranMs = now() - startedMs
    const reason: unknown = run.context.signal.reason
    // Another delivery may be under way: whatever this one has to say about the message comes too late.
    if (run.settled !== null) return { outcome: run.settled, isRecorded: true, ranMs, error }
    if (reason instanceof LeaseLostError || error instanceof LeaseLostError) {
      return { outcome: null, ranMs, error }
    }
    // A processor that was aborted may throw anything; why it was aborted is what counts.
    const cause = run.context.signal.aborted ? withReason(coerceError(reason), error) : error
    return { outcome: failureOutcome(cause, message, settings), ranMs, error: cause }
  }
}

class InvalidPayload extends Error {
  override readonly name = 'InvalidPayload'
}

async function start(processor: Processor, message: Message, run: Run): Promise<unknown> {
  const checked = await processor.payload.safeParseAsync(message.payload)
  if (!checked.success) {
    const issues = checked.error.issues.map(
      (issue) => `${issue.path.join('.') || 'payload'}: ${issue.message}`,
    )
    return new InvalidPayload(
      `the payload does not fit the schema of queue ${message.queue}:\n${issues.join('\n')}`,
    )
  }
  return processor.process(checked.data, run.context)
}

function withReason(reason: Error, error: Error): Error {
  if (reason === error || !(reason instanceof TimeLimitError)) return reason
  return new TimeLimitError(`${reason.message}; the processor then ended with: ${error.message}`, {
    cause: error,
  })
}

function noop(): void {}
