/** Durations as people write them. Pure. */

const UNIT_SECONDS = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86_400 } as const

/** "30s", "5m", "1.5h", "2d", "250ms" or plain seconds; null for anything else. */
export function parseSeconds(text: string): number | null {
  const match = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?$/.exec(text.trim())
  const unit = (match?.[2] ?? 's') as keyof typeof UNIT_SECONDS
  return match?.[1] === undefined ? null : Number(match[1]) * UNIT_SECONDS[unit]
}
