/** What happens in a worker. Each is emitted once; logs, metrics and tests are listeners. */
import type { ConnectionFailure, SetupError } from '../errors.ts'
import type { DatabaseStatus, Outcome, QueueState, QueueStatus, SettleStatus } from '../queue/contract.ts'
import type { Message, Receipt } from '../queue/message.ts'
import type { RateLimit } from '../utils/rate-limit.ts'
import type { CallKind } from './part-health.ts'

export type Events = {
  /** The database answers, and speaks our protocol: who and what meet here. */
  connected: {
    workerId: string
    /** Of queue-worker. */
    version: string
    transport: 'rpc' | 'postgres'
    target: string
    database: DatabaseStatus
  }
  /** The worker reads: how it is connected and which queues it serves. */
  started: {
    workerId: string
    transport: 'rpc' | 'postgres'
    target: string
    queues: readonly string[]
    wake: 'notify' | 'poll'
    isolation: boolean
  }
  /** A read returned messages. */
  read: { messages: number; durationMs: number }
  /** A message came back whose earlier delivery ended without an outcome. */
  returned: { message: Message }
  /** A suspect is about to run alone. */
  isolated: { message: Message }
  /**
   * A message ended; its outcome is about to be recorded. `ranMs` is 0 when its processor was not begun. `error` for retry and dead,
   * and where it trips the breaker.
   */
  finished: {
    message: Message
    outcome: Outcome
    ranMs: number
    waitedMs: number
    error?: Error | undefined
  }
  /** The answer to a settle. */
  settled: { receipt: Receipt; kind: Outcome['kind']; status: SettleStatus; error?: string | undefined }
  /** A processor ran past its time limit and ignored its abort; it still holds a slot. */
  zombie: { message: Message; ranMs: number }
  /** A processor that was given up has ended after all. */
  zombieEnded: { message: Message }
  /** The hold on a message ran out before its outcome was recorded; it will be delivered again. */
  leaseLost: { message: Message }
  /** A queue's state changed: paused, held by its rate limit or its breaker, missing, failing, or ok again. */
  queueState: QueueState & { before: QueueStatus }
  /** The settings have a rate limit for this queue (null: that it has none), and the database has it now. */
  rateLimitSet: { queue: string; limit: RateLimit | null }
  /** A call to the database has ended, answered or not. */
  called: { call: CallKind; durationMs: number; failure: ConnectionFailure | null }
  /** The first failure of an outage. */
  connectionLost: { failure: ConnectionFailure }
  /** The end of an outage. */
  connectionBack: { downMs: number; failures: number }
  /** This worker cannot say that it lives, nor hear that it should stop: a matter of rights, say. */
  registryFailed: { failure: ConnectionFailure }
  /** The child for suspects could not be started. */
  isolationFailed: { error: Error }
  /** The scheduler is at work. */
  schedulerStarted: { transport: 'rpc' | 'postgres'; target: string; pollMs: number }
  /** Runs of a schedule were sent; `missed`: the first and the last of those that were late, sent or not. */
  ticked: {
    schedule: string
    sent: number
    /** How long after its time the last of them was sent; null when none was. */
    lagMs: number | null
    missed: { first: Date; last: Date } | null
  }
  /** A schedule cannot run: its cron expression, time zone, queue. Told once; it is tried again and again. */
  scheduleFailed: { schedule: string; error: string }
  /** Old records were deleted: so many rows of each kind. */
  pruned: { deleted: Readonly<Record<string, number>> }
  /** They cannot be: a matter of rights, say. Told once. */
  pruneFailed: { failure: ConnectionFailure | SetupError }
  /** A stop began: how many messages are running and how many are given back unrun. */
  stopping: { running: number; buffered: number; reason: string }
  /** The drain limit has passed; what still runs is aborted and given back. */
  drainTimedOut: { running: number }
  stopped: { reason: string }
}

/** Reacts to the events it knows; an error in a listener is the listener's problem, never the message's. */
export type Listener = { readonly [K in keyof Events]?: (event: Events[K]) => void }

export type Emit = <K extends keyof Events>(name: K, event: Events[K]) => void

export function createEmit(listeners: readonly Listener[]): Emit {
  return (name, event) => {
    for (const listener of listeners) {
      try {
        listener[name]?.(event)
      } catch (error) {
        process.emitWarning(error instanceof Error ? error : String(error), 'QueueWorkerListener')
      }
    }
  }
}
