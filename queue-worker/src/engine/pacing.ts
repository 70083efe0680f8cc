/** How long to wait before the next read. Pure. */

export const ACTIVE_INTERVAL_MS = 100

export type Pace = {
  /** Reads in a row that found nothing. */
  readonly emptyReads: number
  readonly idleIntervalMs: number
  /** Notifications arrive, so polling is only the safety net. */
  readonly listening: boolean
  /** When the soonest hidden message becomes visible; null when none is. */
  readonly nextVisibleInMs: number | null
}

/** A few milliseconds late rather than early: an early read finds nothing and has to come again. */
export const LATE_MS = 5

/** With notifications the safety net may be this much wider than the poll interval. */
const LISTENING_FACTOR = 4

/**
 * Fast after activity, then doubling up to the idle interval, jittered by up to a fifth so that workers spread out;
 * but never past the moment the next hidden message is due.
 */
export function pauseMs(pace: Pace, random: () => number = Math.random): number {
  const idle = pace.listening ? pace.idleIntervalMs * LISTENING_FACTOR : pace.idleIntervalMs
  const first = pace.listening ? idle : ACTIVE_INTERVAL_MS
  const base = Math.min(idle, first * 2 ** Math.min(Math.max(pace.emptyReads - 1, 0), 20))
  const jittered = base * (1 - random() * 0.2)
  return pace.nextVisibleInMs === null ? jittered : Math.min(jittered, pace.nextVisibleInMs + LATE_MS)
}

/** Between attempts while the database cannot be reached: half a second doubling to a minute, jittered. */
export function reconnectMs(failures: number, random: () => number = Math.random): number {
  return Math.min(60_000, 500 * 2 ** Math.min(Math.max(failures - 1, 0), 10)) * (0.5 + random() / 2)
}
