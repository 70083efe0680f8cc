/** docs/runbooks.md, 3: a release that fails every message, over both transports, and the way back. */
import type { Sql } from 'postgres'
import { beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { defineProcessor, RetryAfterError } from '../../src/library.ts'
import { createInspector } from '../support/queues.ts'
import { createRunbook, EXAMPLE_TIME } from '../support/runbook.ts'
import { runbookBench } from '../support/runbook-bench.ts'
import { until } from '../support/worker.ts'

const bench = runbookBench()
const book = createRunbook('poison')
let sql: Sql

beforeAll(() => {
  sql = bench.login()
})

/** A payment provider: every call with its key, which it charges once. */
const calls: { n: number; key: string }[] = []
const attempts = new Map<number, number[]>()
const DYING = 10
const WAITING = 20
const ALL = Array.from({ length: DYING + WAITING }, (_, i) => i + 1)

async function startRelease(isBad: () => boolean): Promise<void> {
  const processor = defineProcessor({
    queue: 'email_queue',
    payload: z.object({ n: z.number() }),
    maxAttempts: 3,
    async process({ n }, { attempt, originKey }) {
      calls.push({ n, key: originKey })
      attempts.set(n, [...(attempts.get(n) ?? []), attempt])
      if (!isBad()) return
      // The first ten die at once; the others have one attempt left and wait for it.
      if (n > DYING && attempt === 2) throw new RetryAfterError(600, 'TypeError: total is undefined')
      throw new Error('TypeError: total is undefined')
    },
  })
  await bench.startWorkers(() => [processor])
}

/** Instead of ten seconds: until five failures are recorded since it was called, however slow the machine is. */
const FIVE_FAILED = `$$
  declare
    begun constant timestamptz := now();
  begin
    for i in 1 .. 1000 loop
      exit when (select count(*) from queue_worker.outcomes where outcome in ('retry', 'dead') and recorded_at > begun) >= 5;
      perform pg_sleep(0.02);
    end loop;
  end $$`

const letter = (n: number, error: string) =>
  sql.json({
    message: { n },
    headers: null,
    dead_letter: {
      queue: 'email_queue',
      msg_id: n,
      origin_key: `old-${n}`,
      reason: 'attempts_exhausted',
      error,
      dead_at: '2020-01-01T00:00:00+00:00',
    },
  })

test('a release that fails everything: stopped, mended, and its dead letters sent back slowly', async () => {
  const look = createInspector(sql)
  await sql`select queue_worker_ensure_queue('{"protocol": 1, "queue": "email_queue"}')`
  // Two that died long ago of something else are not part of it; nor is one that its producer has put off.
  for (const n of [901, 902])
    await sql`select pgmq.send('email_queue_dlq', ${letter(n, 'Error: 550')}::jsonb)`
  await sql`select pgmq.send('email_queue', '{"n": 950}'::jsonb, 3600)`
  const [now] = await sql`select clock_timestamp()::text as at`
  const since = { [EXAMPLE_TIME]: now?.at as string }

  await startRelease(() => true)
  for (const n of ALL) await sql`select pgmq.send('email_queue', ${sql.json({ n })}::jsonb)`
  const outcomes = async (wanted: string) =>
    (await look.outcomes('email_queue')).filter(({ outcome }) => outcome === wanted).length
  await until('ten have died', async () => (await outcomes('dead')) === DYING)
  await until('the others have failed twice', async () => (await outcomes('retry')) === 2 * ALL.length)
  const sums = (await book.run(sql, 'minutes')).reduce(
    (all, { succeeded, failed, dead }) => [
      all[0] + Number(succeeded),
      all[1] + Number(failed),
      all[2] + Number(dead),
    ],
    [0, 0, 0],
  )
  expect(sums).toEqual([0, 2 * ALL.length, DYING])
  expect(await book.run(sql, 'errors')).toMatchObject([
    {
      error: 'Error: TypeError: total is undefined',
      failures: `${ALL.length + 2 * DYING}`,
      messages: `${ALL.length}`,
    },
    {
      error: 'RetryAfterError: TypeError: total is undefined',
      failures: `${WAITING}`,
      messages: `${WAITING}`,
    },
  ])

  // What is sent while it is paused burns nothing.
  await book.run(sql, 'pause')
  await until('both workers know', () => bench.allPaused(1))
  const [still] = await book.run(sql, 'still')
  for (const n of [951, 952]) await sql`select pgmq.send('email_queue', ${sql.json({ n })}::jsonb)`
  await bench.stopWorkers()
  let bad = false
  await startRelease(() => bad)
  await until('the mended release knows as well', () => bench.allPaused(1))
  expect(await book.run(sql, 'still')).toEqual([still])

  await book.run(sql, 'forgive', since)
  await book.run(sql, 'due', since)
  const hidden = (await look.messages('email_queue')).filter(({ vt }) => vt.getTime() > Date.now() + 60_000)
  expect(hidden.map(({ message }) => message)).toEqual([{ n: 950 }])
  attempts.clear()
  await book.run(sql, 'resume')
  await until('what waited is done', async () => (await look.archived('email_queue')).length === WAITING + 2)
  for (const n of ALL.slice(DYING)) expect(attempts.get(n), 'its attempts were given back').toEqual([1])

  // The cause is not mended for all, say: the loop stops by itself before it has redriven everything.
  const letters = await look.deadLetters('email_queue')
  expect(letters).toHaveLength(DYING + 2)
  bad = true
  await sql`create function public.until_five_failed() returns void language plpgsql as ${sql.unsafe(FIVE_FAILED)}`
  await book.run(sql, 'redrive', { ...since, 'limit 50': 'limit 5', 'pg_sleep(10)': 'until_five_failed()' })
  await until('they have died again', async () => (await outcomes('dead')) >= DYING + 5)
  const [left] = await book.run(sql, 'check', since)
  expect(Number(left?.count)).toBe(DYING)
  const again = await look.deadLetters('email_queue')
  const keysOf = (of: typeof letters) =>
    of.map(({ message }) => String(message.dead_letter.origin_key)).toSorted()
  expect(keysOf(again), 'they keep their origin keys').toEqual(keysOf(letters))
  const before = new Set(letters.map(({ msg_id }) => msg_id))
  expect(again.filter(({ msg_id }) => !before.has(msg_id))).toHaveLength(5)

  bad = false
  await book.run(sql, 'redrive', { ...since, 'limit 50': 'limit 4', 'pg_sleep(10)': 'pg_sleep(0.1)' })
  await until('all is done', async () => (await look.archived('email_queue')).length === ALL.length + 2)
  expect(await book.run(sql, 'check', since)).toMatchObject([{ count: '0' }])

  const archived = (await look.archived('email_queue')).map(({ message }) => (message as { n: number }).n)
  expect(archived.toSorted((a, b) => a - b)).toEqual([...ALL, 951, 952])
  expect((await look.messages('email_queue')).map(({ message }) => message)).toEqual([{ n: 950 }])
  expect((await look.deadLetters('email_queue')).map(({ message }) => message.message)).toEqual([
    { n: 901 },
    { n: 902 },
  ])
  // Called many times, charged once.
  for (const n of ALL)
    expect(new Set(calls.filter((call) => call.n === n).map(({ key }) => key)).size).toBe(1)
  expect(calls.filter(({ n }) => n === 1).length).toBeGreaterThanOrEqual(4)
  expect(book.unused(), 'steps of the runbook that were not run').toEqual([])
})
