/** How long a failed message waits for its next attempt. */
export type BackoffSettings = {
  /** The bound of the first wait, in seconds. */
  readonly baseSeconds: number
  /** No wait is longer than this, in seconds. */
  readonly maxSeconds: number
}

export const DEFAULT_BACKOFF: BackoffSettings = { baseSeconds: 2, maxSeconds: 15 * 60 }

/**
 * Exponential with full jitter: anywhere between 0 and base × 2^(failures − 1), capped, in milliseconds.
 * Full jitter keeps messages that failed together from coming back together.
 */
export function backoffMs(
  failures: number,
  settings: BackoffSettings,
  random: () => number = Math.random,
): number {
  const exponent = Math.min(Math.max(failures, 1) - 1, 30)
  const bound = Math.min(settings.maxSeconds, settings.baseSeconds * 2 ** exponent)
  return Math.round(bound * 1000 * random())
}
