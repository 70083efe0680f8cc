/** How many messages a consumer should ask for: what it can start at once or soon, never what would only wait. Pure. */

export type Load = {
  readonly concurrency: number
  readonly batchSize: number
  /** Messages whose processor runs, zombies included. */
  readonly running: number
  /** Messages read but not started. */
  readonly buffered: number
  /** Mean run time of the recent past in milliseconds; null before the first. */
  readonly meanRunMs: number | null
  readonly visibilityTimeoutSeconds: number
}

/** Looking ahead this far keeps a fast processor busy over a round trip, and costs a slow one nothing. */
export function lookAheadMs(visibilityTimeoutSeconds: number): number {
  return Math.min(500, visibilityTimeoutSeconds * 10)
}

/** How many messages will start within the look-ahead, at the measured rate. */
export function soon(load: Load): number {
  if (load.meanRunMs === null) return 0
  return Math.floor(
    (load.concurrency * lookAheadMs(load.visibilityTimeoutSeconds)) / Math.max(load.meanRunMs, 0.05),
  )
}

export function demand(load: Load): number {
  const free = Math.max(0, load.concurrency - load.running)
  // One batch under way and one being read keep the processors and the database busy at once; more would only wait.
  const wanted = Math.min(free + soon(load), Math.max(free, 2 * load.batchSize))
  const missing = Math.min(load.batchSize, wanted - load.buffered)
  // The next read would fetch little; wait until it is worth a round trip.
  if (load.buffered >= free && missing < Math.min(load.batchSize, wanted / 2)) return 0
  return Math.max(0, missing)
}
