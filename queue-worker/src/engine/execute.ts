/** Runs one message through its processor and tells how it ended. Never touches the queue; see settler for that. */
import type { z } from 'zod'
import { coerceError, LeaseLostError, TimeLimitError } from '../errors.ts'
import { createPayloadCheck } from '../processors/check.ts'
import type { Processor } from '../processors/define.ts'
import { tellIssues } from '../processors/issues.ts'
import type { Outcome } from '../queue/contract.ts'
import type { Message } from '../queue/message.ts'
import type { Tracing } from '../utils/tracing.ts'
import type { Run } from './context.ts'
import { failureOutcome, successOutcome } from './outcomes.ts'
import type { ConsumerSettings } from './settings.ts'

export type Ending = {
  /** Null: nothing is to be recorded, because the lease was lost. */
  readonly outcome: Outcome | null
  /** The processor has recorded its outcome itself, in a transaction. */
  readonly isRecorded?: boolean
  /** 0: its processor was not begun. */
  readonly ranMs: number
  readonly error?: Error
}

export type Execution = {
  /** The end of the processor's code; later than the message's when it was given up. Never rejects. */
  finished(): Promise<void>
  /** Stops waiting for a processor that ignores its abort; its message ends as failed with this error. */
  giveUp(error: Error): void
}

/**
 * What runs messages of one queue through their processor. `onEnd` is called once, never before this has returned: the end, as far
 * as the message is concerned. Callbacks, not promises: this is done for every message, and a promise costs as much as the work.
 */
export function createExecute(
  processor: Processor,
  settings: ConsumerSettings,
  now: () => number,
  tracing: Tracing | null,
) {
  const check = createPayloadCheck(processor.payload)

  return function execute(message: Message, run: Run, onEnd: (ending: Ending) => void): Execution {
    const startedMs = now()
    const span = tracing === null ? null : tracing.begin(message)
    let isOver = false
    const end = (ending: Ending) => {
      if (isOver) return
      isOver = true
      span?.end(ending.outcome?.kind ?? 'lost', ending.error)
      onEnd(ending)
    }
    const failed = (thrown: unknown) => end(failedWith(message, run, thrown, now() - startedMs))
    const work = span === null ? start(message, run) : span.run(() => start(message, run))
    work.then((result) => end(returned(message, run, result, now() - startedMs)), failed)
    return { giveUp: failed, finished: () => work.then(noop, noop) }
  }

  function start(message: Message, run: Run): Promise<unknown> {
    try {
      const checked = check(message.payload)
      if (checked instanceof Promise) return checked.then((result) => process(message, run, result))
      return Promise.resolve(process(message, run, checked))
    } catch (error) {
      return Promise.reject(error)
    }
  }

  function process(
    message: Message,
    run: Run,
    { success, data, error }: z.ZodSafeParseResult<unknown>,
  ): unknown {
    if (success) return processor.process(data, run.context)
    return new InvalidPayload(
      `the payload does not fit the schema of queue ${message.queue}:\n${describe(error.issues)}`,
    )
  }

  /** What a processor returns may make no sense. */
  function returned(message: Message, run: Run, result: unknown, ranMs: number): Ending {
    try {
      return success(message, run, result, ranMs)
    } catch (thrown) {
      return failedWith(message, run, thrown, ranMs)
    }
  }

  function success(message: Message, run: Run, result: unknown, ranMs: number): Ending {
    if (result instanceof InvalidPayload) {
      const attempts = message.failures + 1
      const outcome: Outcome = { kind: 'dead', reason: 'invalid_payload', error: result.message, attempts }
      return { outcome, ranMs: 0, error: result }
    }
    if (run.settled !== null) return { outcome: run.settled, isRecorded: true, ranMs }
    return { outcome: successOutcome(result, settings, run.sends), ranMs }
  }

  /** Anything may be thrown, even what throws when it is looked at. */
  function failedWith(message: Message, run: Run, thrown: unknown, ranMs: number): Ending {
    try {
      return failure(message, run, coerceError(thrown), ranMs)
    } catch {
      return failure(message, run, new Error('the processor threw something that cannot be shown'), ranMs)
    }
  }

  function failure(message: Message, run: Run, error: Error, ranMs: number): Ending {
    const { aborted, reason } = run.lease.cancellation
    // Another delivery may be under way: whatever this one has to say about the message comes too late.
    if (run.settled !== null) return { outcome: run.settled, isRecorded: true, ranMs, error }
    if (reason instanceof LeaseLostError || error instanceof LeaseLostError) {
      return { outcome: null, ranMs, error }
    }
    // A processor that was aborted may throw anything; why it was aborted is what counts.
    const cause = aborted ? withReason(coerceError(reason), error) : error
    return { outcome: failureOutcome(cause, message, settings), ranMs, error: cause }
  }
}

class InvalidPayload extends Error {
  override readonly name = 'InvalidPayload'
}

function describe(issues: readonly z.core.$ZodIssue[]): string {
  const { shown, more } = tellIssues(issues)
  const lines = shown.map(({ field, reason }) => `${field}: ${reason}`)
  return [...lines, ...(more > 0 ? [`and ${more} more`] : [])].join('\n')
}

function withReason(reason: Error, error: Error): Error {
  if (reason === error || !(reason instanceof TimeLimitError)) return reason
  return new TimeLimitError(`${reason.message}; the processor then ended with: ${error.message}`, {
    cause: error,
  })
}

function noop(): void {}
