/** Whether the loops turn: each says when its next turn is due at the latest, and one that does not come is stuck for good. */

export type Pulse = {
  /** The loop turns now, and will again within so many milliseconds; infinity: when something happens. */
  turn(loop: string, withinMs: number): void
  /** The loop that is overdue longest, by so much; null when none is. */
  stuck(): Stuck | null
}

export type Stuck = { readonly loop: string; readonly forMs: number }

/** Every call to the database ends sooner by its own time limit: what is later than this never comes. */
const STUCK_AFTER_MS = 120_000

export function createPulse(now: () => number, stuckAfterMs = STUCK_AFTER_MS): Pulse {
  const dueMs = new Map<string, number>()
  return {
    turn: (loop, withinMs) => void dueMs.set(loop, now() + withinMs),
    stuck() {
      const [latest] = [...dueMs]
        .map(([loop, due]) => ({ loop, forMs: now() - due }))
        .sort((a, b) => b.forMs - a.forMs)
      return latest !== undefined && latest.forMs > stuckAfterMs ? latest : null
    },
  }
}
