/**
 * The holds of this worker on messages. A deadline is the moment, on our monotonic clock, at which the read or extend
 * was sent, plus the visibility timeout: never later than what the server has, whatever its clock says.
 */
import { LeaseLostError } from '../errors.ts'
import type { Message } from '../queue/message.ts'

export type Lease = {
  readonly message: Message
  readonly visibilityTimeoutSeconds: number
  readonly controller: AbortController
  deadlineMs: number
  /** The processor has ended and its outcome is being recorded: from here on only the fence decides. */
  settling: boolean
  lost: boolean
}

export type Leases = {
  hold(message: Message, visibilityTimeoutSeconds: number, sentAtMs: number): Lease
  /** Settled or given up: nothing is left to extend. */
  drop(lease: Lease): void
  held(): Iterable<Lease>
  readonly size: number
  renew(lease: Lease, sentAtMs: number): void
  /** Marks a lease as lost and aborts its processor; true if it was not lost before. */
  lose(lease: Lease): boolean
  /** Loses every lease past its deadline, and returns them. */
  expire(nowMs: number): Lease[]
}

export function createLeases(): Leases {
  const leases = new Set<Lease>()
  function lose(lease: Lease): boolean {
    if (lease.lost || lease.settling || !leases.has(lease)) return false
    lease.lost = true
    lease.controller.abort(new LeaseLostError(`the lease of message ${lease.message.msgId} ran out`))
    return true
  }
  return {
    hold(message, visibilityTimeoutSeconds, sentAtMs) {
      const lease: Lease = {
        message,
        visibilityTimeoutSeconds,
        controller: new AbortController(),
        deadlineMs: sentAtMs + visibilityTimeoutSeconds * 1000,
        settling: false,
        lost: false,
      }
      leases.add(lease)
      return lease
    },
    drop: (lease) => void leases.delete(lease),
    held: () => leases,
    get size() {
      return leases.size
    },
    renew(lease, sentAtMs) {
      lease.deadlineMs = Math.max(lease.deadlineMs, sentAtMs + lease.visibilityTimeoutSeconds * 1000)
    },
    lose,
    expire: (nowMs) => [...leases].filter((lease) => nowMs >= lease.deadlineMs && lose(lease)),
  }
}
