/** How long to wait before the next read. Pure. */

export const ACTIVE_INTERVAL_MS = 100

export type Pace = {
  /** Reads in a row that found nothing. */
  readonly emptyReads: number
  readonly idleIntervalMs: number
  /** Notifications arrive, so polling is only the safety net. */
  readonly listening: boolean
}

/** A few milliseconds late rather than early: an early read finds nothing and has to come again. */
export const LATE_MS = 5

/** With notifications the safety net may be this much wider than the poll interval. */
const LISTENING_FACTOR = 4

/** Fast after activity, then doubling up to the idle interval, jittered by up to a fifth so that workers spread out. */
export function pauseMs(pace: Pace, random: () => number = Math.random): number {
  const idle = pace.listening ? pace.idleIntervalMs * LISTENING_FACTOR : pace.idleIntervalMs
  const first = pace.listening ? idle : ACTIVE_INTERVAL_MS
  const base = Math.min(idle, first * 2 ** Math.min(Math.max(pace.emptyReads - 1, 0), 20))
  return base * (1 - random() * 0.2)
}

export const MAX_RECONNECT_MS = 30_000

/** Between attempts while the database cannot be reached: half a second doubling to `maxMs`, jittered down to a half. */
export function reconnectMs(
  failures: number,
  maxMs = MAX_RECONNECT_MS,
  random: () => number = Math.random,
): number {
  return Math.min(maxMs, 500 * 2 ** Math.min(Math.max(failures - 1, 0), 10)) * (0.5 + random() / 2)
}
