/** Rate limits as people write them: `100/1m`. Pure. */
import { parseSeconds } from './duration.ts'

/** At most so many deliveries within any period, over all workers. */
export type RateLimit = { readonly maxMessages: number; readonly periodSeconds: number }

const MAX_MESSAGES = 1_000_000
const MIN_SECONDS = 0.1
const MAX_SECONDS = 31 * 86_400

export const RATE_LIMIT_FORM = `a number from 1 to ${MAX_MESSAGES}, a slash and a period from 100ms to 31d, as in 100/1m or 5000/1d; or off`

/** "100/1m" (also "100/m"), or "off", which is null; undefined for anything else. */
export function parseRateLimit(text: string): RateLimit | null | undefined {
  const trimmed = text.trim().toLowerCase()
  if (trimmed === 'off') return null
  const [, count, period = ''] = /^(\d{1,7})\s*\/\s*(.+)$/.exec(trimmed) ?? []
  const periodSeconds = parseSeconds(/^[a-z]/.test(period) ? `1${period}` : period)
  const maxMessages = Number(count)
  if (periodSeconds === null || !(maxMessages >= 1 && maxMessages <= MAX_MESSAGES)) return undefined
  return periodSeconds >= MIN_SECONDS && periodSeconds <= MAX_SECONDS
    ? { maxMessages, periodSeconds }
    : undefined
}

const UNITS = [
  ['d', 86_400],
  ['h', 3600],
  ['m', 60],
  ['s', 1],
] as const

/** As `parseRateLimit` reads it. */
export function describeRateLimit({ maxMessages, periodSeconds }: RateLimit): string {
  const [name, seconds] = UNITS.find(([, length]) => Number.isInteger(periodSeconds / length)) ?? [
    'ms',
    0.001,
  ]
  return `${maxMessages}/${Math.round(periodSeconds / seconds)}${name}`
}
