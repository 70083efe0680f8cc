/** Durations as people write them. Pure. */

const UNIT_SECONDS = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86_400 } as const

/** "30s", "5m", "1.5h", "2d", "250ms" or plain seconds; throws RangeError for anything else. */
export function seconds(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?$/.exec(text.trim())
  const unit = (match?.[2] ?? 's') as keyof typeof UNIT_SECONDS
  if (match?.[1] === undefined) throw new RangeError(`"${text}" is no duration: write 30s, 5m, 2h or 1d`)
  return Number(match[1]) * UNIT_SECONDS[unit]
}
