/** What a drain did, message by message, as the engine tells of it. */
import type { Listener } from '../engine/events.ts'
import type { DeadReason, Outcome } from '../queue/contract.ts'

/** One delivery that has ended. */
export type Ran = {
  readonly queue: string
  readonly msgId: string
  readonly payload: unknown
  /** 1 for the first try. */
  readonly attempt: number
  readonly outcome: Outcome['kind']
  /** Why it is dead. */
  readonly reason?: DeadReason
  /** What the processor threw, or what else was wrong. */
  readonly error?: string
  /** How long a retry or a snooze waits, in seconds. */
  readonly delaySeconds?: number
}

/** Collects what ran, in the order in which it ended. */
export function createRecord(): { readonly ran: Ran[]; readonly listener: Listener } {
  const ran: Ran[] = []
  return {
    ran,
    listener: {
      finished({ message: { queue, msgId, payload, failures }, outcome, error }) {
        ran.push({
          ...{ queue, msgId, payload, attempt: failures + 1, outcome: outcome.kind },
          ...('reason' in outcome ? { reason: outcome.reason } : {}),
          ...(error === undefined ? {} : { error: error.message }),
          ...('delayMs' in outcome ? { delaySeconds: outcome.delayMs / 1000 } : {}),
        })
      },
    },
  }
}
