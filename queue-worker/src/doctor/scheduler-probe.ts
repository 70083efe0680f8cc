/** A schedule of the doctor's own, with one run a year, that whichever scheduler is alive sends within seconds. */
import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { coerceError } from '../errors.ts'
import { removeTestQueue } from '../queue/test-queue.ts'
import { createScheduleRecords } from '../scheduler/records.ts'
import type { Parts } from './parts.ts'

/** Besides the time in which schedulers notice what is new. */
const WAIT_MS = 20_000
const LOOK_MS = 250

type Told = {
  /** Null: it was not sent, because of the problem. */
  readonly sentAfterMs: number | null
  readonly problem: string
  /** What could not be removed afterwards. */
  readonly left: { readonly what: string; readonly how: string } | null
}

export function isProbe(schedule: string): boolean {
  return /^doctor_[0-9a-f]{16}$/.test(schedule)
}

/** Never throws. */
export async function probeScheduler(parts: Pick<Parts, 'transport' | 'queue' | 'config'>): Promise<Told> {
  const { transport } = parts
  const name = `doctor_${randomBytes(8).toString('hex')}`
  const outcome = await send(parts, name).catch((error: unknown) => ({
    ...{ sentAfterMs: null, problem: coerceError(error).message },
  }))
  try {
    await createScheduleRecords(transport.call).remove(name)
    await removeTestQueue(transport, name)
    return { ...outcome, left: null }
  } catch (error) {
    const what = `the schedule and the queue ${name} of the probe could not be removed: ${coerceError(error).message}`
    const how = `Remove them: npx queue-worker schedules remove ${name}, and select queue_worker_drop_queue('{"protocol": 1, "queue": "${name}"}');`
    return { ...outcome, left: { what, how } }
  }
}

async function send(
  { transport, queue, config }: Pick<Parts, 'transport' | 'queue' | 'config'>,
  name: string,
) {
  const records = createScheduleRecords(transport.call)
  await queue.ensureQueue(name, { notify: false })
  const { now } = await records.list()
  const due = new Date(Math.ceil(now.getTime() / 1000) * 1000)
  const schedule = { name, queue: name, message: { probe: true }, headers: null, timezone: 'UTC' }
  await records.put({ ...schedule, cron: onceAYear(due), missed: 'one' })
  const giveUp = performance.now() + config.scheduler.pollMs + WAIT_MS
  while (performance.now() < giveUp) {
    const tick = (await records.list()).schedules.find((one) => one.name === name)?.lastTick
    if (tick) return { sentAfterMs: Math.max(0, tick.sentAt.getTime() - tick.runAt.getTime()), problem: '' }
    await delay(LOOK_MS)
  }
  const seconds = Math.round((config.scheduler.pollMs + WAIT_MS) / 1000)
  return { sentAfterMs: null, problem: `a run that was due was not sent within ${seconds} s` }
}

/** Whatever happens to the doctor, what it leaves behind does next to nothing. */
function onceAYear(due: Date): string {
  const [month, day] = [due.getUTCMonth() + 1, due.getUTCDate()]
  return [due.getUTCSeconds(), due.getUTCMinutes(), due.getUTCHours(), day, month, '*'].join(' ')
}
