/** Turns how a run of a processor ended into the outcome that is recorded. Pure. */
import { OutageError, RetryAfterError, StoppingError, UnrecoverableError } from '../errors.ts'
import type { Snooze } from '../processors/define.ts'
import type { Outcome, Send } from '../queue/contract.ts'
import type { Message } from '../queue/message.ts'
import { backoffMs } from './backoff.ts'
import type { ConsumerSettings } from './settings.ts'

type Policy = Pick<ConsumerSettings, 'maxAttempts' | 'backoff' | 'onSuccess'>

/** Whatever else a processor returns by the way means nothing: only what `snooze` made puts a message off. */
export function successOutcome(result: unknown, policy: Policy, sends: readonly Send[]): Outcome {
  if (isSnooze(result)) return { kind: 'snooze', delayMs: result.snoozeSeconds * 1000 }
  return sends.length > 0 ? { kind: policy.onSuccess, sends } : { kind: policy.onSuccess }
}

/** A failure: retried after its backoff, or dead when it cannot succeed or has no attempt left. An outage is none. */
export function failureOutcome(
  error: Error,
  message: Pick<Message, 'failures'>,
  policy: Policy,
  random: () => number = Math.random,
): Outcome {
  if (error instanceof StoppingError) return { kind: 'release' }
  const attempts = message.failures + 1
  const text = errorText(error)
  if (error instanceof UnrecoverableError)
    return { kind: 'dead', reason: 'unrecoverable', error: text, attempts }
  if (error instanceof OutageError) return tripOutcome(error)
  if (attempts >= policy.maxAttempts)
    return { kind: 'dead', reason: 'attempts_exhausted', error: text, attempts }
  const delayMs =
    error instanceof RetryAfterError && isWait(error.seconds)
      ? error.seconds * 1000
      : backoffMs(attempts, policy.backoff, random)
  return { kind: 'retry', delayMs, error: text }
}

/** Until the database says for how long the breaker is open; it is the least it can be. */
const TRIPPED_MS = 5000

function tripOutcome({ message: reason, retryAfterSeconds: seconds }: OutageError): Outcome {
  const breaker = isWait(seconds) ? { reason, retryAfterMs: seconds * 1000 } : { reason }
  return { kind: 'snooze', delayMs: TRIPPED_MS, breaker }
}

function isSnooze(value: unknown): value is Snooze {
  return (
    typeof value === 'object' && value !== null && 'snoozeSeconds' in value && isWait(value.snoozeSeconds)
  )
}

/** Asked for with nonsense (a header that was no number, say), the wait is the usual one: never none at all. */
function isWait(seconds: unknown): seconds is number {
  return typeof seconds === 'number' && Number.isFinite(seconds) && seconds >= 0
}

/** What is told of an error: its stack, and those of its causes. The recorder cleans and cuts what it stores of it. */
export function errorText(error: Error): string {
  const parts: string[] = []
  for (let next: unknown = error; next instanceof Error && parts.length < 4; next = next.cause) {
    parts.push(next.stack ?? `${next.name}: ${next.message}`)
  }
  return parts.join('\ncaused by ')
}
