/** Durations and times as people write them. Pure. */

const UNIT_SECONDS = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86_400 } as const

/** "30s", "5m", "1.5h", "2d", "250ms" or plain seconds; null for anything else. */
export function parseSeconds(text: string): number | null {
  const match = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?$/.exec(text.trim())
  const unit = (match?.[2] ?? 's') as keyof typeof UNIT_SECONDS
  return match?.[1] === undefined ? null : Number(match[1]) * UNIT_SECONDS[unit]
}

/** What a time has to look like, for whoever got it wrong. */
export const MOMENT = 'give a time with its zone, like 2026-12-01T09:00:00Z or 2026-12-01T10:00:00+01:00'

/** A time; null for anything else, also without a zone: it would mean something else on each machine. */
export function parseMoment(text: string): Date | null {
  const date = new Date(text)
  const isWhole = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d.*(Z|[+-]\d\d:?\d\d)$/i.test(text.trim())
  return isWhole && !Number.isNaN(date.getTime()) ? date : null
}

/** "12 s", "5 min", "3 h 10 min", "2 d 4 h". */
export function age(seconds: number): string {
  if (seconds < 60) return `${Math.floor(seconds)} s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`
  return `${Math.floor(seconds / 86_400)} d ${Math.floor((seconds % 86_400) / 3600)} h`
}
