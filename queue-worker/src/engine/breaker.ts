/**
 * This worker's side of its queue's breaker: from the moment a processor meets an outage until the database knows of it, nothing is
 * begun here. From then on the database decides, for all workers.
 */
import type { Outcome } from '../queue/contract.ts'

export type LocalBreaker = {
  /** Called with how a run ended. When that trips the breaker: what to call once it is recorded. */
  noted(outcome: Outcome | null): (() => void) | null
  /** A trip is not recorded yet. */
  readonly isTripping: boolean
  /** A read that was sent then may have been answered by a database that did not know yet. */
  isStale(readAtMs: number): boolean
}

export function createLocalBreaker(now: () => number): LocalBreaker {
  let tripping = 0
  let recordedAtMs = Number.NEGATIVE_INFINITY

  return {
    noted(outcome) {
      if (outcome?.kind !== 'snooze' || outcome.breaker === undefined) return null
      tripping += 1
      return () => {
        tripping -= 1
        recordedAtMs = now()
      }
    },
    get isTripping() {
      return tripping > 0
    },
    isStale: (readAtMs) => tripping > 0 || readAtMs < recordedAtMs,
  }
}
