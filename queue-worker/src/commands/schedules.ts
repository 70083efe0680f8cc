/** `schedules list` and `schedules next`: what is sent when, what became of the last message, and when it runs next. */
import { comingRuns } from '../scheduler/plan.ts'
import { createScheduleRecords, type Schedule, type ScheduleRecords } from '../scheduler/records.ts'
import { cleanReply } from '../utils/clean-reply.ts'
import { EXIT, type ExitCode, type Io, UsageError } from './io.ts'
import { table } from './table.ts'
import { withTransport } from './with-queue.ts'

const ERROR_WIDTH = 500

export function listSchedules(io: Io, { json }: { json?: boolean }): Promise<ExitCode> {
  return withSchedules(io, async (records) => {
    const { schedules, now } = await records.list()
    if (json)
      io.out(JSON.stringify(schedules.map((schedule) => ({ ...schedule, ...comingRuns(schedule, now, 3) }))))
    else io.out(describe(schedules, now))
  })
}

export function nextRuns(io: Io, name: string, flags: { count: number; json?: boolean }): Promise<ExitCode> {
  return withSchedules(io, async (records) => {
    const { schedules, now } = await records.list()
    const schedule = schedules.find((one) => one.name === name) ?? unknownName(name, schedules)
    const { next, error } = comingRuns(schedule, now, flags.count)
    if (flags.json) return io.out(JSON.stringify({ name, enabled: schedule.enabled, next, error }))
    if (error !== null) return io.out(cannotRun(name, error))
    if (next.length === 0) return io.out(`schedule ${name} never runs: there is no such day`)
    if (!schedule.enabled) io.out('It is paused; if it were not, it would run:\n')
    const rows = next.map((run) => [localTime(run, schedule.timezone), utc(run)])
    io.out(table([schedule.timezone, 'UTC'], rows))
  })
}

/** Connects, runs, closes. */
export function withSchedules(io: Io, run: (records: ScheduleRecords) => Promise<void>): Promise<ExitCode> {
  return withTransport(io, async ({ call }) => {
    await run(createScheduleRecords(call))
    return EXIT.ok
  })
}

export function unknownName(name: string, schedules: readonly Schedule[]): never {
  const known = schedules.map((one) => one.name)
  throw new UsageError(`there is no schedule ${name}; there are: ${known.join(', ') || 'none'}`)
}

const cannotRun = (name: string, why: string) =>
  `schedule ${name} cannot run: ${cleanReply(why, ERROR_WIDTH)}`

/** 2026-11-23 03:00:00, as the clocks there show it. */
export function localTime(date: Date, timeZone: string): string {
  return new Intl.DateTimeFormat('sv-SE', { timeZone, dateStyle: 'short', timeStyle: 'medium' }).format(date)
}

/** Runs are at whole seconds. */
function utc(date: Date): string {
  return date.toISOString().replace('.000Z', 'Z')
}

function describe(schedules: readonly Schedule[], now: Date): string {
  if (schedules.length === 0) {
    return `There are no schedules yet. Add one: npx queue-worker schedules add nightly '0 3 * * *' <queue> <json>`
  }
  const errors: string[] = []
  const rows = schedules.map((schedule) => {
    const { name, cron, timezone, queue, enabled, lastTick } = schedule
    const { next, error } = comingRuns(schedule, now, 1)
    const wrong = error ?? (enabled ? schedule.lastError : null)
    if (wrong !== null) errors.push(cannotRun(name, wrong))
    const [run] = enabled ? next : []
    return [
      ...[name, cron, timezone, queue],
      enabled ? (wrong === null ? 'on' : 'error') : 'paused',
      lastTick === null ? '-' : error === null ? localTime(lastTick.runAt, timezone) : utc(lastTick.runAt),
      lastTick?.state ?? '-',
      run === undefined ? '-' : localTime(run, timezone),
    ]
  })
  const head = ['schedule', 'cron', 'time zone', 'queue', 'state', 'last run', 'its message', 'next run']
  return [table(head, rows), ...errors].join('\n\n')
}
