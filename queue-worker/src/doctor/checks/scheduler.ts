/** Whether schedules are sent: who sends them, which cannot run, and a probe that goes through a scheduler. */
import { comingRuns } from '../../scheduler/plan.ts'
import { createScheduleRecords, type Schedule } from '../../scheduler/records.ts'
import { defineCheck, type MendableFinding } from '../finding.ts'
import type { Parts } from '../parts.ts'
import { isLive, named, registered } from '../registered.ts'
import { isProbe, probeScheduler } from '../scheduler-probe.ts'

export const scheduler = defineCheck({
  name: 'scheduler',
  group: 'Workers',
  needs: ['migration', 'grants'],
  // Never given up in the middle, as it cleans up.
  limitMs: 180_000,
  catalog: {
    scheduler_alive: { severity: 'ok', why: '' },
    no_scheduler: { severity: 'warning', why: 'There are schedules, and nobody sends what they ask for.' },
    schedule_broken: { severity: 'warning', why: 'It sends nothing until it is mended; the others do.' },
    tick_ok: { severity: 'ok', why: '' },
    tick_failed: { severity: 'error', why: 'A scheduler lives, and does not send what is due.' },
    tick_probe_left: { severity: 'warning', why: 'It is in the way of nobody, but it is not yours.' },
  },
  async run(parts: Parts, tell) {
    const live = registered(await parts.diagnose()).filter((one) => one.schedules && isLive(one))
    const { schedules, now } = await createScheduleRecords(parts.transport.call).list()
    const wanted = schedules.filter(({ name, enabled }) => enabled && !isProbe(name))
    const found: MendableFinding[] = live.map((one) =>
      tell('scheduler_alive', `${named(one)} sends what schedules ask for`),
    )
    for (const schedule of wanted) {
      const wrong = brokenBecause(schedule, now)
      if (wrong === null) continue
      const how = `Mend it: npx queue-worker schedules add ${schedule.name} … with what is right, or in queue_worker.schedules.`
      found.push(tell('schedule_broken', `schedule ${schedule.name} cannot run: ${wrong}`, how))
    }
    if (live.length === 0) {
      if (wanted.length === 0) return found
      const what = `no scheduler is alive, and there are schedules that are on: ${wanted.length}`
      return [
        ...found,
        tell('no_scheduler', what, 'Start one: npm start, or npm run start:scheduler by itself.'),
      ]
    }
    const { sentAfterMs, problem, left } = await probeScheduler(parts)
    if (sentAfterMs !== null) {
      found.push(
        tell(
          'tick_ok',
          `a run went the whole way through a scheduler: sent ${sentAfterMs} ms after it was due`,
        ),
      )
    } else {
      found.push(tell('tick_failed', problem, 'Look at the log of the scheduler; start it again.'))
    }
    return left === null ? found : [...found, tell('tick_probe_left', left.what, left.how)]
  },
})

function brokenBecause(schedule: Schedule, now: Date): string | null {
  return schedule.lastError ?? comingRuns(schedule, now, 1).error
}
