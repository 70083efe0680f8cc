/** docs/runbooks.md, 5: a queue that is very deep, and what slows it. */
import type { Sql } from 'postgres'
import { beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { defineProcessor } from '../../src/library.ts'
import { createInspector } from '../support/queues.ts'
import { createRunbook, EXAMPLE_TIME } from '../support/runbook.ts'
import { runbookBench } from '../support/runbook-bench.ts'
import { until } from '../support/worker.ts'

/** A million was tried by hand (RUNBOOK_DEPTH=1000000): the figures are in the document. */
const DEPTH = Number(process.env.RUNBOOK_DEPTH ?? 200_000)
const bench = runbookBench()
let sql: Sql

beforeAll(() => {
  sql = bench.login()
})

test(`a queue ${DEPTH} deep is measured, drained, and what slows it is found`, async () => {
  const book = createRunbook('deep')
  const look = createInspector(sql)
  const timed: string[] = []
  const run = async (name: string, examples?: Record<string, string>) => {
    const began = performance.now()
    const rows = await book.run(sql, name, examples)
    timed.push(`${name} ${Math.round(performance.now() - began)} ms`)
    return rows
  }
  await sql`select queue_worker_ensure_queue('{"protocol": 1, "queue": "email_queue"}')`
  const [old] = await sql`select clock_timestamp()::text as at`
  await sql`insert into pgmq.q_email_queue (vt, message)
    select clock_timestamp(), jsonb_build_object('n', i) from generate_series(1, ${DEPTH}::int) i`
  await sql`insert into pgmq.q_email_queue (vt, message)
    select clock_timestamp() + interval '1 day', jsonb_build_object('n', -i) from generate_series(1, 10) i`

  const total = DEPTH + 10
  expect(await run('metrics')).toMatchObject([{ queue_length: `${total}`, total_messages: `${total}` }])
  const [counts] = await run('counts')
  expect(counts?.queue_worker_counts).toMatchObject([{ ready: DEPTH, hidden: 10, dead: 0, paused: false }])
  expect(await run('delayed')).toMatchObject([{ hidden: '10', delayed: '10' }])
  expect(await run('rate')).toMatchObject([{ queue_length: `${total}`, minutes_to_empty: null }])
  expect(await run('rate'), 'nothing goes out').toMatchObject([
    { out_per_second: '0.0', minutes_to_empty: null },
  ])

  // Somebody forgot a transaction.
  const forgotten = bench.login()
  const session = await forgotten.reserve()
  await session`begin isolation level repeatable read`
  const [mine] = await session`select pg_backend_pid() as pid, count(*) from pgmq.list_queues()`

  const processor = defineProcessor({
    queue: 'email_queue',
    payload: z.object({ n: z.number() }),
    onSuccess: 'delete',
    process() {},
  })
  const began = performance.now()
  await bench.startWorkers(() => [processor])
  await until('a part of it is done', () =>
    bench.workers.every(({ events }) => events.filter(({ name }) => name === 'settled').length >= 2000),
  )
  const [draining] = await run('rate')
  expect(Number(draining?.out_per_second)).toBeGreaterThan(0)
  expect(Number(draining?.in_per_second)).toBe(0)
  expect(draining?.minutes_to_empty).not.toBeNull()
  await bench.stopWorkers()
  const [times] = await run('times')
  expect(Number(times?.succeeded)).toBeGreaterThanOrEqual(4000)
  const [{ left = 0 } = {}] = await sql`select count(*)::int as left from pgmq.q_email_queue`
  const seconds = (performance.now() - began) / 1000

  expect((await run('snapshots')).map(({ pid }) => pid)).toContain(mine?.pid)
  expect(await run('slots')).toEqual([])
  const deadRows = async () =>
    (await run('dead-rows')).find(({ relname }) => relname === 'q_email_queue')?.n_dead_tup
  await until('the server has counted dead rows', async () => Number(await deadRows()) >= total - left)
  await run('vacuum')
  expect(Number(await deadRows()), 'vacuum could not remove them').toBeGreaterThanOrEqual(total - left)
  expect(await run('terminate', { 12345: `${mine?.pid}` })).toEqual([{ pg_terminate_backend: true }])
  await until(
    'its snapshot is gone',
    async () => !(await run('snapshots')).some(({ pid }) => pid === mine?.pid),
  )
  await until('the dead rows are gone', async () => {
    await run('vacuum')
    return Number(await deadRows()) < total - left
  })
  session.release()
  await forgotten.end({ timeout: 1 }).catch(() => {})

  // What waits is not worth it any more, but for what is new.
  expect(await run('archive', { [EXAMPLE_TIME]: `${old?.at}` })).toEqual([{ count: '0' }])
  const now = { [EXAMPLE_TIME]: 'infinity' }
  let archived = 0
  for (let one = -1; one !== 0; archived += one) one = Number((await run('archive', now))[0]?.count)
  expect(archived).toBe(left - 10)
  const rows = await look.messages('email_queue')
  expect(rows.map(({ message }) => (message as { n: number }).n).toSorted()).toEqual(
    Array.from({ length: 10 }, (_, i) => -1 - i).toSorted(),
  )
  const [row] =
    await sql`select count(*)::int as count, count(distinct msg_id)::int as ids from pgmq.a_email_queue`
  expect([row?.count, row?.ids]).toEqual([archived, archived])
  const [stats] =
    await sql`select sum(deleted)::int as settled from queue_worker.stats where queue = 'email_queue'`
  expect(stats?.settled + archived + 10, 'each was done or archived').toBe(total)
  await sql`drop schema runbook cascade`
  expect(book.unused(), 'steps of the runbook that were not run').toEqual([])
  if (process.env.RUNBOOK_DEPTH) console.log(`${stats?.settled} in ${seconds} s; ${timed.join(', ')}`)
})
