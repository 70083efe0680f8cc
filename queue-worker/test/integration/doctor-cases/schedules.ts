/** What can be wrong with schedules. */
import type { DoctorBench } from '../../support/doctor-bench.ts'
import type { Case } from './case.ts'

async function withSchedule({ sql, later }: DoctorBench, cron: string, enabled = true): Promise<void> {
  await sql`insert into queue_worker.schedules (name, cron, queue, message, enabled)
    values ('nightly', ${cron}, 'orders', '{}', ${enabled})`
  later(() => sql`delete from queue_worker.schedules where name = 'nightly'`)
}

export const schedules: readonly Case[] = [
  {
    what: 'schedules and no scheduler',
    kind: 'rpc',
    async breaks(bench) {
      await withSchedule(bench, '0 3 * * *')
      return {}
    },
    finds: 'no_scheduler',
    says: /no scheduler is alive, and there are schedules that are on: 1$/,
    remedy: /npm run start:scheduler/,
  },
  {
    what: 'a schedule that no calendar has',
    kind: 'postgres',
    async breaks(bench) {
      await withSchedule(bench, 'every day')
      return {}
    },
    finds: 'schedule_broken',
    also: ['no_scheduler'],
    says: /schedule nightly cannot run: .*every day/,
    remedy: /schedules add nightly/,
  },
  {
    what: 'a scheduler that hangs',
    kind: 'postgres',
    async breaks({ sql, later }) {
      await sql`insert into queue_worker.workers (worker_id, instance, version, host, pid, queues, in_flight, schedules)
        values ('stuck', 'i', '1', 'h', 1, '{}', 0, true)`
      later(() => sql`delete from queue_worker.workers where worker_id = 'stuck'`)
      return { SCHEDULER_POLL_SECONDS: '1' }
    },
    finds: 'tick_failed',
    says: /a run that was due was not sent within 21 s/,
    remedy: /log of the scheduler/,
  },
]
