/** Whether the worker can do its work, from what it knows of itself. Pure. */
import type { FailureKind } from '../errors.ts'

export type Health = {
  readonly ready: boolean
  /** Why it is not ready; null when it is. */
  readonly reason: string | null
  readonly state: 'starting' | 'running' | 'stopping' | 'stopped'
  readonly transport: 'rpc' | 'postgres'
  readonly wake: 'notify' | 'poll'
  readonly inFlight: number
  readonly zombies: number
  readonly unsettled: number
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
}

/** An outage shorter than this is a hiccup and not worth taking the worker out of service for. */
export const TOLERATED_OUTAGE_MS = 10_000

export function notReadyBecause(condition: Condition): string | null {
  if (condition.state !== 'running') return `the worker is ${condition.state}`
  if (condition.downMs > TOLERATED_OUTAGE_MS) {
    return `the database has not answered for ${Math.round(condition.downMs / 1000)} s: ${condition.lastMessage}`
  }
  if (condition.zombies >= condition.slots) {
    return `all ${condition.slots} slots are held by processors that ran past their time limit and ignore their abort`
  }
  return null
}
