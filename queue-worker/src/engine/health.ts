/** Whether the worker can do its work, from what it knows of itself. Pure. */
import type { FailureKind } from '../errors.ts'
import type { QueueStatus } from '../queue/contract.ts'
import type { Outage } from './outage.ts'
import { type PartHealth, partHealth, TOLERATED_OUTAGE_MS } from './part-health.ts'
import type { Stuck } from './pulse.ts'
import type { Unreadable } from './readable.ts'

export type Health = {
  readonly ready: boolean
  /** Why it is not ready; null when it is. */
  readonly reason: string | null
  readonly state: 'starting' | 'running' | 'sleeping' | 'stopping' | 'stopped'
  readonly transport: 'rpc' | 'postgres'
  readonly wake: 'notify' | 'poll'
  readonly inFlight: number
  readonly zombies: number
  readonly unsettled: number
  /** How it stands with each queue, as its last read said. One that a rate limit or a breaker holds is no reason not to be ready. */
  readonly queues: Readonly<Record<string, QueueStatus>>
  /** How long the database has not answered, in milliseconds; 0 when it does. */
  readonly downMs: number
  /** Each thing it does, and each queue: ok, degraded or down, and what is the matter. */
  readonly parts: readonly PartHealth[]
  /** The loop that does not turn any more, which nothing but a restart mends; null: all do. */
  readonly stuck: Stuck | null
  readonly lastError: { readonly kind: FailureKind; readonly message: string; readonly remedy: string } | null
}

export type Condition = {
  readonly state: Health['state']
  readonly downMs: number
  readonly lastMessage: string | null
  readonly zombies: number
  readonly slots: number
  readonly stuck?: Stuck | null | undefined
  /** Set while the database answers, but with nothing but errors. */
  readonly unreadable?: Unreadable | null | undefined
  /** See WorkerSettings. */
  readonly toleratedOutageMs?: number | undefined
  /** Whose condition it is; a worker's if left out. */
  readonly who?: 'worker' | 'scheduler' | undefined
}

export function notReadyBecause(condition: Condition): string | null {
  const { state, downMs, unreadable, toleratedOutageMs = TOLERATED_OUTAGE_MS, who = 'worker' } = condition
  if (state !== 'running') return `the ${who} is ${state}`
  if (downMs > toleratedOutageMs) {
    return `the database has not answered for ${seconds(downMs)} s: ${condition.lastMessage}`
  }
  if (unreadable && unreadable.forMs > toleratedOutageMs) {
    return `nothing could be read for ${seconds(unreadable.forMs)} s: ${unreadable.reason}`
  }
  if (condition.stuck) return stuckBecause(condition.stuck)
  if (condition.zombies >= condition.slots) {
    return `all ${condition.slots} slots are held by processors that ran past their time limit and ignore their abort`
  }
  return null
}

export type Facts = Omit<Health, 'ready' | 'reason' | 'downMs' | 'lastError'> &
  Pick<Condition, 'slots' | 'unreadable' | 'toleratedOutageMs' | 'who'> & {
    readonly outage: Pick<Outage, 'downMs' | 'last'>
  }

/** The whole picture, for whoever asks. */
export function healthOf({ outage, slots, unreadable, toleratedOutageMs, who, ...facts }: Facts): Health {
  const { last } = outage
  // A loop that has ended is not stuck.
  const stuck = facts.state === 'running' ? facts.stuck : null
  const told = { ...facts, stuck, downMs: outage.downMs() }
  const lastMessage = last?.message ?? null
  const reason = notReadyBecause({ ...told, slots, unreadable, toleratedOutageMs, lastMessage, who })
  const lastError = last === null ? null : { kind: last.kind, message: last.message, remedy: last.remedy }
  const parts = [databasePart(told.downMs, lastMessage, toleratedOutageMs), ...facts.parts]
  return { ...told, parts, ready: reason === null, reason, lastError }
}

function databasePart(
  downMs: number,
  lastMessage: string | null,
  toleratedMs = TOLERATED_OUTAGE_MS,
): PartHealth {
  const failing = downMs === 0 ? null : { forMs: downMs, error: lastMessage ?? 'it has not answered yet' }
  return partHealth('database', failing, toleratedMs)
}

/** Said where the platform asks whether to start the process again. */
export function stuckBecause({ loop, forMs }: Stuck): string {
  return `the loop of ${loop} has not turned for ${seconds(forMs)} s longer than it should; only a restart mends that`
}

function seconds(ms: number): number {
  return Math.round(ms / 1000)
}
