/** Each thing that commonly is wrong is broken for real; the doctor names it, and nothing else, and tells how to mend it. */
import { expect, test } from 'vitest'
import { start } from '../support/cli.ts'
import { visit } from '../support/doctor.ts'
import { doctorBench } from '../support/doctor-bench.ts'
import { until } from '../support/worker.ts'
import { database } from './doctor-cases/database.ts'
import { holdDoctorTo } from './doctor-cases/hold.ts'
import { queues } from './doctor-cases/queues.ts'
import { schedules } from './doctor-cases/schedules.ts'

const bench = doctorBench()

test.each(['rpc', 'postgres'] as const)(
  'a healthy set-up over %s: all is in order, and nothing stays behind',
  async (kind) => {
    const env = { ...bench.env(kind), SCHEDULER_POLL_SECONDS: '1', WORKER_ID: 'the-scheduler', PORT: 'off' }
    const scheduler = start(['scheduler'], { cwd: bench.cwd, env })
    await scheduler.says(/sends what schedules ask for|schedul/)
    const alive = () => bench.sql`select from queue_worker.workers where schedules and not stopping`
    await until('the scheduler is known', async () => (await alive()).length === 1)
    const seen = await visit(bench.cwd, env, ['--strict'])
    scheduler.signal('SIGTERM')
    expect(await scheduler.ended).toBe(0)
    expect((await alive()).length).toBe(0)
    expect(seen.problems, seen.told).toEqual([])
    expect(seen.code).toBe(0)
    expect(seen.examination).toMatchObject({ transport: kind, counts: { error: 0, warning: 0, skipped: 0 } })
    const told = (id: string) => seen.findings.find((one) => one.id === id)?.what
    expect(told('login_ok')).toMatch(kind === 'rpc' ? /as service_role/ : /as postgres/)
    expect(told('worker_alive')).toMatch(
      /^worker the-worker .* reads (email_queue, orders|orders, email_queue)/,
    )
    expect(told('round_trip_ok')).toMatch(/started \d+ ms after it was sent, recorded \d+ ms later/)
    expect(told('scheduler_alive')).toMatch(/^the-scheduler .* sends what schedules ask for$/)
    expect(told('tick_ok')).toMatch(/sent \d+ ms after it was due/)
    expect(seen.findings.some(({ id }) => id === 'listen_works')).toBe(kind === 'postgres')
    const left = await bench.sql`select relname from pg_class where relname ~ 'doctor_[0-9a-f]{16}'
    union all select worker_id from queue_worker.workers where worker_id ~ '^doctor_'
    union all select queue from queue_worker.stats where queue ~ '^doctor_'
    union all select name from queue_worker.schedules`
    expect(left).toEqual([])
  },
)

holdDoctorTo(bench, [...database, ...queues, ...schedules])
