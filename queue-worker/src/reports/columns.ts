/** What the columns of a report are, as far as files care. */

export type Kind = 'integer' | 'decimal' | 'boolean' | 'date' | 'timestamp' | 'timestamptz' | 'json' | 'text'

const KINDS: Readonly<Record<string, Kind>> = {
  smallint: 'integer',
  integer: 'integer',
  bigint: 'integer',
  numeric: 'decimal',
  real: 'decimal',
  'double precision': 'decimal',
  boolean: 'boolean',
  date: 'date',
  'timestamp without time zone': 'timestamp',
  'timestamp with time zone': 'timestamptz',
  json: 'json',
  jsonb: 'json',
}

/** Everything else is shown as PostgreSQL writes it. */
export function kindOf(type: string): Kind {
  return Object.hasOwn(KINDS, type) ? (KINDS[type] ?? 'text') : 'text'
}

export function isNumber(kind: Kind): boolean {
  return kind === 'integer' || kind === 'decimal'
}

const TIME = /^(\d{4,}-\d\d-\d\d) (\d\d:\d\d:\d\d)(\.\d+)?([+-]\d\d(?::\d\d){0,2})?$/

/** A moment as people read it, in the time zone the database printed it in: "2026-11-24 06:00:00.5", without the offset. */
export function localTime(text: string): string {
  const [, date, time, fraction = ''] = TIME.exec(text) ?? []
  return date === undefined ? text : `${date} ${time}${fraction}`
}

/** A moment as ISO 8601 has it: "2026-11-24T06:00:00.5+03:00"; what is none (infinity, BC) stays as it is. */
export function isoTime(text: string): string {
  const [, date, time, fraction = '', offset = ''] = TIME.exec(text) ?? []
  if (date === undefined) return text
  return `${date}T${time}${fraction}${offset}${offset.length === 3 ? ':00' : ''}`
}

const DAY_MS = 86_400_000
const EPOCH_1900 = Date.UTC(1899, 11, 30)

/**
 * A date or moment as spreadsheets count: days since 1899-12-30, in the time zone the database printed it in. Null for
 * what they cannot count: before 1900-03-01 (they believe in a February 29th of 1900), after 9999, infinity.
 */
export function serialDay(text: string): number | null {
  const match = /^(\d{4})-(\d\d)-(\d\d)(?: (\d\d):(\d\d):(\d\d)(\.\d+)?.*)?$/.exec(text)
  if (match === null || / BC$/.test(text)) return null
  const [year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0, fraction = 0] = match
    .slice(1)
    .map((part) => Number(part ?? 0))
  const ms = Date.UTC(year, month - 1, day, hour, minute, second) + fraction * 1000
  const serial = (ms - EPOCH_1900) / DAY_MS
  return serial >= 61 ? serial : null
}
