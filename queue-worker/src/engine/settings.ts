/** What the engine needs to know, in full: a processor's own wishes over the queue's settings over the defaults. */
import type { Processor } from '../processors/define.ts'
import type { RateLimit } from '../utils/rate-limit.ts'
import { type BackoffSettings, DEFAULT_BACKOFF } from './backoff.ts'

/** One queue's settings. Times in the unit their name says. */
export type ConsumerSettings = {
  readonly concurrency: number
  /** Most messages that one read asks for this queue, 1 to 500. */
  readonly batchSize: number
  readonly visibilityTimeoutSeconds: number
  /** Time limit of one run of the processor. */
  readonly timeoutMs: number
  readonly maxAttempts: number
  readonly maxInterruptions: number
  readonly backoff: BackoffSettings
  readonly onSuccess: 'archive' | 'delete'
  /** Written into the database when the worker starts; null lifts it there; undefined leaves what the database has. */
  readonly rateLimit?: RateLimit | null | undefined
}

export type WorkerSettings = {
  /** Names this worker in records and logs; the host name by default. */
  readonly workerId: string
  /** Idle time between polls; after activity the worker polls faster. */
  readonly pollIntervalMs: number
  /** Between heartbeats; undefined: a third of the shortest visibility timeout. */
  readonly heartbeatSeconds?: number | undefined
  /** How long a stop waits for running messages before it aborts them. */
  readonly drainTimeoutMs: number
  /** Without any success for this long, the worker ends with an error. */
  readonly giveUpSeconds: number
  /** Readiness turns red when the worker could not work for longer than this; undefined: 10 seconds. */
  readonly toleratedOutageMs?: number | undefined
  /** Liveness turns red when a loop is overdue by more than this; undefined: two minutes. */
  readonly stuckAfterMs?: number | undefined
  /** Most bytes of payload one read returns. */
  readonly readBytes: number
  /** Whether a worker with a direct connection installs and listens to NOTIFY triggers. */
  readonly notify: boolean
}

export const DEFAULT_CONSUMER: ConsumerSettings = {
  concurrency: 10,
  batchSize: 500,
  visibilityTimeoutSeconds: 30,
  timeoutMs: 300_000,
  maxAttempts: 5,
  maxInterruptions: 20,
  backoff: DEFAULT_BACKOFF,
  onSuccess: 'archive',
}

export const DEFAULT_WORKER: Omit<WorkerSettings, 'workerId'> = {
  pollIntervalMs: 5000,
  drainTimeoutMs: 25_000,
  giveUpSeconds: 900,
  readBytes: 8 * 1024 * 1024,
  notify: true,
}

/** Longer timers would overflow and fire at once. */
export const MAX_TIMER_MS = 2 ** 31 - 1

/** How long a processor that ignores its abort keeps its message after the time limit, before it is given up. */
export const ABORT_GRACE_MS = 2000

/** Settings an operator gave for one queue win over what its processor asks for, which wins over the defaults. */
export function consumerSettings(
  processor: Processor,
  defaults: Partial<ConsumerSettings> = {},
  overrides: Partial<ConsumerSettings> = {},
): ConsumerSettings {
  const { concurrency, visibilityTimeoutSeconds, timeoutMs, maxAttempts, backoff, onSuccess, rateLimit } =
    processor
  const wished = {
    concurrency,
    visibilityTimeoutSeconds,
    timeoutMs,
    maxAttempts,
    backoff,
    onSuccess,
    rateLimit,
  }
  return { ...DEFAULT_CONSUMER, ...defaults, ...given(wished), ...given(overrides) }
}

/** The shortest a heartbeat can wait: a third of the shortest visibility timeout, unless it was set. */
export function heartbeatMs(
  worker: Pick<WorkerSettings, 'heartbeatSeconds'>,
  queues: readonly ConsumerSettings[],
): number {
  const shortest = Math.min(...queues.map((queue) => queue.visibilityTimeoutSeconds))
  return Math.min(worker.heartbeatSeconds ?? Number.POSITIVE_INFINITY, shortest / 3) * 1000
}

type Given<T> = { [K in keyof T]?: Exclude<T[K], undefined> }

function given<T extends object>(values: T): Given<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Given<T>
}
