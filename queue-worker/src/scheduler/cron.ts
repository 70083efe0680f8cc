/**
 * Cron expressions with time zones. The owner of croner.
 *
 * Where clocks go back, an hour happens twice: a schedule of fixed times (no `*`, no steps in seconds, minutes, hours)
 * runs the first time, one that has them runs both times. Where they go forward, an hour is left out: the first kind
 * runs at its end, the second does not run in it. That is what Vixie cron does.
 */
import { Cron } from 'croner'
import { coerceError } from '../errors.ts'

export type Runs = {
  /** The first run after this moment, to whole seconds; null: there is none. */
  next(after: Date): Date | null
}

/** What was typed is no cron expression or no time zone; the message says what to write. */
export class CronError extends Error {
  override readonly name: string = 'CronError'
}

const FIELDS =
  'write five fields, "minute hour day month weekday" (as "0 9 * * MON-FRI"), or six with seconds first'
const NICKNAMES = ['@yearly', '@annually', '@monthly', '@weekly', '@daily', '@midnight', '@hourly']

/** @throws CronError */
export function parseCron(expression: string, timezone: string): Runs {
  const text = expression.trim()
  const known = isTimeZone(timezone)
  if (!known) {
    throw new CronError(`"${shown(timezone)}" is no time zone: write a name like Europe/Berlin or UTC`)
  }
  // A "?" would mean the moment at which this very program reads it, a date a single run; croner takes both.
  const fields = text.split(/\s+/)
  const isPlain = fields.length === 5 || fields.length === 6
  if (text.includes('?') || !(isPlain || NICKNAMES.includes(text.toLowerCase()))) {
    throw notCron(text, `${FIELDS}, or one of ${NICKNAMES.join(' ')}`)
  }
  try {
    const cron = new Cron(fields.join(' '), { timezone, mode: '5-or-6-parts', fixedTimeRule: 'no-wildcard' })
    return { next: (after) => cron.nextRun(after) }
  } catch (error) {
    const why = coerceError(error)
      .message.replace(/^CronPattern: /, '')
      .replace(/\.$/, '')
    throw notCron(text, `${shown(why.charAt(0).toLowerCase() + why.slice(1), 200)}; ${FIELDS}`)
  }
}

/** @throws CronError, also for an expression that can never run. */
export function checkCron(expression: string, timezone: string, now: Date): void {
  if (parseCron(expression, timezone).next(now) !== null) return
  throw new CronError(`"${shown(expression)}" never runs: there is no such day`)
}

function notCron(text: string, why: string): CronError {
  return new CronError(`"${shown(text)}" is no cron expression: ${why}`)
}

function isTimeZone(name: string): boolean {
  try {
    return name !== '' && new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== ''
  } catch {
    return false
  }
}

function shown(text: string, most = 60): string {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text
}
