/** Whether the worker can do its work, from what it knows of itself. Pure. */
import type { FailureKind } from '../errors.ts'
import type { QueueStatus } from '../queue/contract.ts'
import type { Outage } from './outage.ts'
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
  readonly lastError: { readonly kind: FailureKind; readonly message: string; readonly remedy: string } | null
}

export type Condition = {
  readonly state: Health['state']
  readonly downMs: number
  readonly lastMessage: string | null
  readonly zombies: number
  readonly slots: number
  /** Set while the database answers, but with nothing but errors. */
  readonly unreadable?: Unreadable | null | undefined
  /** See WorkerSettings. */
  readonly toleratedOutageMs?: number | undefined
  /** Whose condition it is; a worker's if left out. */
  readonly who?: 'worker' | 'scheduler'
}

/** An outage shorter than this is a hiccup and not worth taking the worker out of service for. */
export const TOLERATED_OUTAGE_MS = 10_000

export function notReadyBecause(condition: Condition): string | null {
  const { state, downMs, unreadable, toleratedOutageMs = TOLERATED_OUTAGE_MS, who = 'worker' } = condition
  if (state !== 'running') return `the ${who} is ${state}`
  if (downMs > toleratedOutageMs) {
    return `the database has not answered for ${seconds(downMs)} s: ${condition.lastMessage}`
  }
  if (unreadable && unreadable.forMs > toleratedOutageMs) {
    return `nothing could be read for ${seconds(unreadable.forMs)} s: ${unreadable.reason}`
  }
  if (condition.zombies >= condition.slots) {
    return `all ${condition.slots} slots are held by processors that ran past their time limit and ignore their abort`
  }
  return null
}

export type Facts = Omit<Health, 'ready' | 'reason' | 'downMs' | 'lastError'> &
  Pick<Condition, 'slots' | 'unreadable' | 'toleratedOutageMs'> & {
    readonly outage: Pick<Outage, 'downMs' | 'last'>
  }

/** The whole picture, for whoever asks. */
export function healthOf({ outage, slots, unreadable, toleratedOutageMs, ...facts }: Facts): Health {
  const { last } = outage
  const told = { ...facts, downMs: outage.downMs() }
  const lastMessage = last?.message ?? null
  const reason = notReadyBecause({ ...told, slots, unreadable, toleratedOutageMs, lastMessage })
  const lastError = last === null ? null : { kind: last.kind, message: last.message, remedy: last.remedy }
  return { ...told, ready: reason === null, reason, lastError }
}

function seconds(ms: number): number {
  return Math.round(ms / 1000)
}
