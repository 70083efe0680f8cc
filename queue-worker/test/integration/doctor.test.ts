/** Each thing that commonly is wrong is broken for real; the doctor names it, and nothing else, and tells how to mend it. */
import { expect, test } from 'vitest'
import { visit } from '../support/doctor.ts'
import { doctorBench } from '../support/doctor-bench.ts'
import { connection } from './doctor-cases/connection.ts'
import { database } from './doctor-cases/database.ts'
import { others, workers } from './doctor-cases/others.ts'
import { queues } from './doctor-cases/queues.ts'

const CASES = [...connection, ...database, ...queues, ...others, ...workers]
const bench = doctorBench()

test.each(['rpc', 'postgres'] as const)(
  'a healthy set-up over %s: all is in order, and nothing stays behind',
  async (kind) => {
    const seen = await visit(bench.cwd, bench.env(kind), ['--strict'])
    expect(seen.problems, seen.told).toEqual([])
    expect(seen.code).toBe(0)
    expect(seen.examination).toMatchObject({ transport: kind, counts: { error: 0, warning: 0, skipped: 0 } })
    const told = (id: string) => seen.findings.find((one) => one.id === id)?.what
    expect(told('login_ok')).toMatch(kind === 'rpc' ? /as service_role/ : /as postgres/)
    expect(told('worker_alive')).toMatch(
      /^worker the-worker .* reads (email_queue, orders|orders, email_queue)/,
    )
    expect(told('round_trip_ok')).toMatch(/started \d+ ms after it was sent, recorded \d+ ms later/)
    expect(seen.findings.some(({ id }) => id === 'listen_works')).toBe(kind === 'postgres')
    const left = await bench.sql`select relname from pg_class where relname ~ 'doctor_[0-9a-f]{16}'
    union all select worker_id from queue_worker.workers where worker_id ~ '^doctor_'
    union all select queue from queue_worker.stats where queue ~ '^doctor_'`
    expect(left).toEqual([])
  },
)

test.each(CASES)(
  '$what over $kind: $finds',
  async ({ kind, breaks, finds, also = [], says, remedy, fixed, preload, code }) => {
    const changed = await breaks(bench)
    const env = { ...bench.env(kind), ...changed }
    const seen = await visit(bench.cwd, env, [], preload)
    expect(seen.problems, seen.told).toEqual([finds, ...also].sort())
    const found = seen.findings.find(({ id }) => id === finds)
    expect(found?.what).toMatch(says)
    expect(found?.how).toMatch(remedy)
    expect(found?.why).not.toBe('')
    expect(seen.code).toBe(code ?? (seen.examination.counts.error > 0 ? 1 : 0))
    for (const secret of [bench.stack.secretKey, new URL(bench.stack.databaseUrl).password])
      expect(seen.text).not.toContain(secret)
    if (fixed === undefined) return

    const mending = await visit(bench.cwd, env, ['--fix'])
    expect(mending.mended.join('\n'), mending.told).toMatch(fixed.did)
    expect(mending.problems, mending.told).toEqual(fixed.leaves ?? [])
    const again = await visit(bench.cwd, env, ['--fix'])
    expect([again.mended, again.problems]).toEqual([[], fixed.leaves ?? []])
  },
)
