/** What commands take, as commander reads it: it puts the option's name before these messages. */
import { InvalidArgumentError } from 'commander'
import { QUEUE_NAME } from '../config/fields.ts'
import { MOMENT, parseMoment, parseSeconds } from '../utils/duration.ts'
import { parseRateLimit, RATE_LIMIT_FORM, type RateLimit } from '../utils/rate-limit.ts'

export function seconds(text: string): number {
  const value = parseSeconds(text)
  if (value === null) throw new InvalidArgumentError('Write 30s, 5m, 2h or 1d.')
  return value
}

/** A number within bounds that are told. */
export function between(least: number, most: number, isWhole = true) {
  return (text: string): number => {
    const value = /^\d+(\.\d+)?$/.test(text.trim()) ? Number(text) : Number.NaN
    if (value >= least && value <= most && (Number.isInteger(value) || !isWhole)) return value
    throw new InvalidArgumentError(`Give a ${isWhole ? 'whole ' : ''}number from ${least} to ${most}.`)
  }
}

/** A time, or how long ago it was. */
export function past(text: string): Date {
  const ago = parseSeconds(text)
  const at = ago === null ? parseMoment(text) : new Date(Date.now() - ago * 1000)
  if (at !== null && !Number.isNaN(at.getTime())) return at
  throw new InvalidArgumentError(`Write how long ago (30m, 2h, 1d), or ${MOMENT}.`)
}

/** "50/s", "10/m", "100/h" or a number a second. */
export function rate(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(?:\/([smh]))?$/.exec(text.trim())
  const perSecond =
    Number(match?.[1] ?? Number.NaN) / { s: 1, m: 60, h: 3600 }[(match?.[2] ?? 's') as 's' | 'm' | 'h']
  if (perSecond > 0 && perSecond <= 100_000) return perSecond
  throw new InvalidArgumentError('Write 50/s, 10/m or 100/h.')
}

export function messageId(text: string): string {
  if (/^[1-9]\d{0,17}$/.test(text)) return text
  throw new InvalidArgumentError('An id is a whole number, as in the logs and in msg_id.')
}

export function messageIds(text: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), messageId(text)]
}

/** The name of a queue whose dead letters are meant; that of the dead-letter queue will do. */
export function queueName(text: string): string {
  const name = text.replace(/_dlq$/, '')
  if (QUEUE_NAME.test(name)) return name
  throw new InvalidArgumentError('A queue name has 1 to 43 of a-z, 0-9, _ and -.')
}

/** So many in a period; null for off. */
export function rateLimit(text: string): RateLimit | null {
  const value = parseRateLimit(text)
  if (value === undefined) throw new InvalidArgumentError(`Give ${RATE_LIMIT_FORM}.`)
  return value
}
