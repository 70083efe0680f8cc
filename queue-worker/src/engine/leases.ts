/**
 * The holds of this worker on messages. A deadline is the moment, on our monotonic clock, at which the read or extend
 * was sent, plus the visibility timeout: never later than what the server has, whatever its clock says.
 */
import { LeaseLostError } from '../errors.ts'
import type { Message } from '../queue/message.ts'
import { Cancellation } from '../utils/cancellation.ts'

export type Lease = {
  readonly message: Message
  readonly visibilityTimeoutSeconds: number
  readonly cancellation: Cancellation
  /** When the read that gave it was sent. */
  readonly readAtMs: number
  deadlineMs: number
  /** Its outcome is being recorded: from here on only the fence decides. */
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
  /** Marks a lease as lost and aborts its processor, unless its outcome is being recorded. */
  lose(lease: Lease): void
  /** Whether it is lost; past its deadline it is, also when nobody had the time to notice yet. */
  isOver(lease: Lease, nowMs: number): boolean
  /** Loses every lease past its deadline. */
  expire(nowMs: number): void
}

/** `onLost` is called once for each lease that is lost. */
export function createLeases(onLost: (lease: Lease) => void): Leases {
  const leases = new Set<Lease>()
  function lose(lease: Lease): void {
    if (lease.lost || lease.settling || !leases.has(lease)) return
    lease.lost = true
    lease.cancellation.abort(new LeaseLostError(`the lease of message ${lease.message.msgId} ran out`))
    onLost(lease)
  }
  return {
    hold(message, visibilityTimeoutSeconds, sentAtMs) {
      const lease: Lease = {
        message,
        visibilityTimeoutSeconds,
        cancellation: new Cancellation(),
        readAtMs: sentAtMs,
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
    isOver(lease, nowMs) {
      if (nowMs >= lease.deadlineMs) lose(lease)
      return lease.lost
    },
    expire(nowMs) {
      for (const lease of leases) if (nowMs >= lease.deadlineMs) lose(lease)
    },
  }
}
