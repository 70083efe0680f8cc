import type { TransactionSql } from 'postgres'
import type { RateLimit } from '../utils/rate-limit.ts'
import type { Dashboard } from './dashboard.ts'
import type { Message, Receipt } from './message.ts'
import type { Operator } from './operator.ts'
import type { QueueCounts, QueueState, Trip } from './queue-state.ts'

export type { Breaker, QueueCounts, QueueState, QueueStatus, Trip } from './queue-state.ts'

/** How many messages of one queue a read may return, and for how long they are then hidden from others. */
export type ReadDemand = {
  readonly queue: string
  readonly limit: number
  readonly visibilityTimeoutSeconds: number
}

export type ReadResult = { readonly messages: readonly Message[]; readonly queues: readonly QueueState[] }

export type SendOptions = {
  /** Hidden for this long before its first delivery. */
  readonly delaySeconds?: number
  /** Hidden until then; not together with delaySeconds. */
  readonly at?: Date
  /** The same key again on the same queue sends nothing and returns the first message's id. */
  readonly idempotencyKey?: string
  /** The message's identity for effects; computed if left out. */
  readonly originKey?: string
  /** pgmq headers; refused where the pgmq version has none. */
  readonly headers?: Readonly<Record<string, unknown>>
}

export type Send = SendOptions & { readonly queue: string; readonly message: unknown }
export type SendResult = { readonly msgId: string; readonly duplicate: boolean }

export type DeadReason =
  | 'invalid_payload'
  | 'unrecoverable'
  | 'attempts_exhausted'
  | 'interruptions_exhausted'

/** How a delivery ended. */
export type Outcome =
  | { readonly kind: 'archive' | 'delete'; readonly sends?: readonly Send[] }
  | { readonly kind: 'retry'; readonly delayMs: number; readonly error: string }
  | { readonly kind: 'dead'; readonly reason: DeadReason; readonly error: string; readonly attempts: number }
  | { readonly kind: 'release' }
  /** With a trip the message is hidden for as long as the breaker is open, if that is longer. */
  | { readonly kind: 'snooze'; readonly delayMs: number; readonly breaker?: Trip }

export type Settlement = {
  readonly receipt: Receipt
  readonly outcome: Outcome
  /** How long the processor ran and how long the message had waited for it; for the stats. */
  readonly ranMs?: number
  readonly waitedMs?: number
}

/**
 * ok: done now. already: this very settle was done before (its answer had been lost). gone: a delete found no
 * message. lost: another delivery or outcome came first; nothing was changed. rejected: the settlement itself
 * cannot be done (for example a send to a queue that does not exist); nothing was changed, `error` says why.
 */
export type SettleStatus = 'ok' | 'already' | 'gone' | 'lost' | 'rejected'
export type SettleResult = { readonly status: SettleStatus; readonly error?: string }

/** One lease to extend, for this long from now. */
export type Extension = { readonly receipt: Receipt; readonly visibilityTimeoutSeconds: number }

export type LedgerState =
  | { readonly state: 'new' }
  | { readonly state: 'done'; readonly result: unknown }
  | { readonly state: 'uncertain'; readonly startedAt: string }

export type DatabaseStatus = {
  readonly protocol: number
  readonly migration: string
  readonly pgmqVersion: string | null
  readonly postgresVersion: string
  readonly headers: boolean
  /** Whom the database takes us for: the JWT's role over RPC, the login over a direct connection. */
  readonly role: string
}

export type WorkerBeat = {
  readonly workerId: string
  readonly instance: string
  readonly version: string
  readonly host: string
  readonly pid: number
  /** None: a scheduler alone. */
  readonly queues: readonly string[]
  readonly inFlight: number
  readonly stopping?: boolean
  /** It sends what schedules ask for. */
  readonly schedules?: boolean
}

/** Everything the product does with the database, the same over both transports. See docs/protocol.md. */
export type Queue = {
  readonly transport: Transport['kind']
  read(demands: readonly ReadDemand[], maxBytes: number): Promise<ReadResult>
  settle(settlements: readonly Settlement[], workerId: string): Promise<SettleResult[]>
  /** Settles, then reads, in one round trip. The settled part stays even when the read part fails. */
  exchange(
    settlements: readonly Settlement[],
    workerId: string,
    demands: readonly ReadDemand[],
    maxBytes: number,
  ): Promise<{ settled: SettleResult[]; read: ReadResult }>
  /** Returns, per lease, whether it still is ours. Never shortens one. */
  extend(extensions: readonly Extension[]): Promise<boolean[]>
  /** Records that a suspect is about to run alone; false: the lease is lost. With no outcome it died alone. */
  isolate(extension: Extension, workerId: string): Promise<boolean>
  send(sends: readonly Send[]): Promise<SendResult[]>
  ensureQueue(queue: string, options: { notify: boolean }): Promise<void>
  /** Resuming a queue also closes its breaker. `by` says who does it, for the audit. */
  setPaused(queue: string, paused: boolean, by?: string): Promise<void>
  /** For all workers; null lifts it. */
  setRateLimit(queue: string, limit: RateLimit | null, by?: string): Promise<void>
  /** `token` names this run: the same token again answers as the first time, so a lost answer can be asked for again. */
  ledgerStart(originKey: string, step: string, repeat: boolean, token: string): Promise<LedgerState>
  /** Stores the result as JSON; the first one stands. NUL and halves of surrogate pairs become U+FFFD. */
  ledgerFinish(originKey: string, step: string, result: unknown): Promise<void>
  /** The step is known not to have happened: forget that it was started (with a token: by that run). */
  ledgerForget(originKey: string, step: string, token?: string): Promise<void>
  /** Tells the registry this worker lives; answers whether it is asked to drain and stop. */
  beat(beat: WorkerBeat): Promise<{ drain: boolean }>
  status(): Promise<DatabaseStatus>
  /** Exact, by scanning the queues; `overview` is cheap. */
  counts(queues?: readonly string[]): Promise<QueueCounts[]>
  close(): Promise<void>
} & Operator &
  Dashboard &
  Pick<Transport, 'listen' | 'transaction' | 'target' | 'settings'>

/** Calls our entry points (`queue_worker_<name>`), JSON in and out. Throws ConnectionFailure, never anything else. */
export type Transport = {
  readonly kind: 'rpc' | 'postgres'
  /** Where it leads, without secrets, for logs: "https://x.supabase.co" or "db.example.com:5432/postgres". */
  readonly target: string
  call(entryPoint: string, request: unknown): Promise<unknown>
  /**
   * Calls `onQueue` with a queue's name when a message was inserted into it. Null when notifications do not
   * arrive (checked with a probe), as through a transaction pooler. `onLost` fires when the subscription breaks; when
   * it is back, `onQueue('*')` says that any queue may have got messages meanwhile.
   */
  listen?(onQueue: (queue: string) => void, onLost?: () => void): Promise<(() => Promise<void>) | null>
  /** Runs code in a transaction whose handle can also call entry points; direct connections only. */
  transaction?<T>(
    run: (
      sql: TransactionSql,
      call: (entryPoint: string, request: unknown) => Promise<unknown>,
    ) => Promise<T>,
  ): Promise<T>
  /** Plain data from which a child process can connect the same way. Holds secrets: never log it. */
  readonly settings: ConnectionSettings
  close(): Promise<void>
}

export type ConnectionSettings =
  | {
      readonly kind: 'rpc'
      readonly url: string
      readonly key: string
      readonly gatewayKey?: string | undefined
      readonly caFile?: string | undefined
      readonly preferIpv4?: boolean | undefined
    }
  | {
      readonly kind: 'postgres'
      readonly url: string
      readonly caFile?: string | undefined
      readonly connections?: number | undefined
      readonly connectTimeoutMs?: number | undefined
      readonly preferIpv4?: boolean | undefined
    }
