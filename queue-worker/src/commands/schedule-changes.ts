/** `schedules add`, `remove`, `pause` and `resume`. */
import { coerceError } from '../errors.ts'
import { checkSend } from '../queue/sends.ts'
import { CronError, checkCron } from '../scheduler/cron.ts'
import { comingRuns } from '../scheduler/plan.ts'
import type { NewSchedule, ScheduleRecords } from '../scheduler/records.ts'
import { type ExitCode, type Io, UsageError } from './io.ts'
import { localTime, unknownName, withSchedules } from './schedules.ts'
import { headersFrom, parseJson } from './send.ts'

type Json = { json?: boolean }
export type AddFlags = Json & {
  timezone: string
  missed: NewSchedule['missed']
  headers?: string
  paused?: boolean
}

const NAME = /^[A-Za-z0-9_.:-]{1,100}$/
const EXAMPLE = `npx queue-worker schedules add nightly '0 3 * * *' reports '{"report": "daily_volume", "format": "csv"}'`

export function addSchedule(
  io: Io,
  given: { name: string; cron: string; queue: string; json: string },
  flags: AddFlags,
): Promise<ExitCode> {
  const schedule = toAdd(given, flags)
  return withSchedules(io, async (records) => {
    await tell(io, records, flags, given.name, await records.put(schedule))
  })
}

export function removeSchedule(io: Io, name: string, flags: Json): Promise<ExitCode> {
  return withSchedules(io, async (records) => {
    if (!(await records.remove(name))) unknownName(name, (await records.list()).schedules)
    io.out(flags.json ? JSON.stringify({ name, state: 'removed' }) : `removed: schedule ${name}`)
  })
}

export function enableSchedule(io: Io, name: string, enabled: boolean, flags: Json): Promise<ExitCode> {
  return withSchedules(io, async (records) => {
    if (!(await records.enable(name, enabled))) unknownName(name, (await records.list()).schedules)
    await tell(io, records, flags, name, enabled ? 'resumed' : 'paused')
  })
}

async function tell(
  io: Io,
  records: ScheduleRecords,
  flags: Json,
  name: string,
  state: string,
): Promise<void> {
  const { schedules, now } = await records.list()
  const schedule = schedules.find((one) => one.name === name) ?? unknownName(name, schedules)
  const [next] = schedule.enabled ? comingRuns(schedule, now, 1).next : []
  if (flags.json)
    return io.out(JSON.stringify({ name, state, enabled: schedule.enabled, next: next ?? null }))
  const rest = state === 'paused' ? 'runs of this time are not made up for' : 'it is paused'
  const then = next && `next run ${localTime(next, schedule.timezone)} ${schedule.timezone}`
  io.out(`${state}: schedule ${name}; ${then ?? rest}`)
}

/** Everything that can be wrong with what was typed is found before anything is connected. */
function toAdd(
  given: { name: string; cron: string; queue: string; json: string },
  flags: AddFlags,
): NewSchedule {
  const { name, cron, queue, json } = given
  if (!NAME.test(name))
    throw new UsageError(`"${name}" is no name for a schedule: use 1 to 100 of a-z, A-Z, 0-9 and _ . : -`)
  const message = parseJson(
    json,
    'the message is not JSON',
    `quote it for your shell, for example: ${EXAMPLE}`,
  )
  const headers = flags.headers === undefined ? {} : { headers: headersFrom(flags.headers) }
  try {
    checkCron(cron, flags.timezone, new Date())
    const send = checkSend({ queue, message, ...headers })
    return {
      ...{ name, cron, queue, timezone: flags.timezone, missed: flags.missed },
      message: send.message,
      headers: send.headers ?? null,
      enabled: flags.paused ? false : undefined,
    }
  } catch (error) {
    const why = coerceError(error).message
    const quote = error instanceof CronError ? `; quote it for your shell, for example: ${EXAMPLE}` : ''
    throw new UsageError(`${why}${quote}`, { cause: error })
  }
}
