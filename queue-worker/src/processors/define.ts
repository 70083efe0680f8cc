import type { Logger } from 'pino'
import type { z } from 'zod'
import type { BackoffSettings } from '../engine/backoff.ts'
import type { SendOptions } from '../queue/contract.ts'
import type { RateLimit } from '../utils/rate-limit.ts'
import type { TraceContext } from '../utils/trace-context.ts'

/** What a processor is given beside its payload. */
export type ProcessorContext = {
  readonly queue: string
  readonly messageId: string
  /** 1 for the first try; failures + 1. Crashes of the worker do not raise it. */
  readonly attempt: number
  /** How often this message may fail before it becomes a dead letter. */
  readonly maxAttempts: number
  /** The message's identity for effects; use it as idempotency key towards other systems. */
  readonly originKey: string
  readonly headers: Readonly<Record<string, unknown>> | null
  readonly enqueuedAt: Date
  /**
   * What to hand on to other systems, so that their spans join this trace: of the span that is active where you ask, else as the
   * message brought it; null when there is none. `context.send` hands it on by itself. See docs/tracing.md.
   */
  readonly traceContext: TraceContext | null
  /** Aborted at the time limit, when the lease is lost, or when a stop runs out of patience. Pass it on. */
  readonly signal: AbortSignal
  readonly logger: Logger
  /**
   * Runs a step of this message once over all its deliveries, dead letters and redrives: its result is stored
   * (as JSON, at most 64 kB) and given back instead of running it again. When the step throws, it did not
   * happen and may run again, unless it throws UncertainEffectError, or `signal` is aborted and it throws anything
   * but EffectNotDoneError. A step that was started and whose end is not known is, by `uncertain`: 'hold' (default) the message goes to the dead letters for a person to decide;
   * 'repeat' the step runs again (right when the other side knows your idempotency key).
   */
  once<T>(step: string, run: () => Promise<T> | T, options?: { uncertain?: 'hold' | 'repeat' }): Promise<T>
  /**
   * Sends a message when, and only when, this message's success is recorded: both commit together. Not inside a step
   * given to `once`, which a redelivery skips.
   */
  send(queue: string, message: unknown, options?: SendOptions): void
  /**
   * Runs database writes and the settling of this message in one transaction: the writes happen exactly once.
   * Only over a direct connection; throws SetupError over RPC. At most once per delivery, as the last step.
   * `sql` is a postgres.js transaction handle.
   */
  transaction<T>(run: (sql: import('postgres').TransactionSql) => Promise<T>): Promise<T>
}

/** `return snooze(seconds)` from a processor: run the message again later; neither a success nor a failure. */
export type Snooze = { readonly snoozeSeconds: number }

export function snooze(seconds: number): Snooze {
  if (!Number.isFinite(seconds) || seconds < 0) throw new RangeError(`snooze(${seconds}): give seconds >= 0`)
  return { snoozeSeconds: seconds }
}

/** Code for one queue. Everything but queue, payload and process has a default from the settings. */
export type Processor<Payload = unknown> = {
  readonly queue: string
  readonly payload: z.ZodType<Payload>
  /** What success does with the message: keep it in the queue's archive (default) or delete it. */
  readonly onSuccess?: 'archive' | 'delete'
  /** Messages of this queue that run at once. */
  readonly concurrency?: number
  readonly visibilityTimeoutSeconds?: number
  readonly timeoutMs?: number
  readonly maxAttempts?: number
  readonly backoff?: BackoffSettings
  /** At most so many deliveries in any period, over all workers. Kept in the database, which a worker tells when it starts. */
  readonly rateLimit?: RateLimit | null | undefined
  /** Asks for `context.transaction`; refused at start over RPC. */
  readonly usesTransaction?: boolean
  /**
   * Called when the worker has stopped, to close what the processor holds open. A worker that sleeps (docs/sleep.md) has stopped each
   * time: what is opened when it is needed first, by a message, works there too.
   */
  close?(): Promise<void>
  // biome-ignore lint/suspicious/noConfusingVoidType: a processor that returns nothing is the common case.
  process(payload: Payload, context: ProcessorContext): Promise<Snooze | void> | Snooze | void
}

/** Declares a processor; the payload's type follows from its schema. */
export function defineProcessor<Payload>(processor: Processor<Payload>): Processor<Payload> {
  return processor
}
