/** Names that no queue can have, at every place that takes one; and queues that pgmq has under names that ours cannot have. */
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { z } from 'zod'
import { loadConfig, queueOverrides as queueOverridesOf } from '../../src/config.ts'
import { SetupError } from '../../src/errors.ts'
import {
  connectPostgres,
  createProducer,
  createWorker,
  defineProcessor,
  type Transport,
} from '../../src/library.ts'
import type { Queue } from '../../src/queue/contract.ts'
import { createQueue } from '../../src/queue/queue.ts'
import { applyMigrations, listMigrations } from '../../src/services/migrations.ts'
import { createDatabase, type TestDatabase } from '../support/databases.ts'
import { unquotedIn } from '../support/dynamic-sql.ts'
import { failureOf } from '../support/failure.ts'
import { forAll, nastyText } from '../support/hostile.ts'
import { until } from '../support/worker.ts'

let database: TestDatabase
let connection: Transport
let queue: Queue

beforeAll(async () => {
  database = await createDatabase(inject('stack'))
  await applyMigrations(database.sql, await listMigrations())
  connection = connectPostgres({ url: database.url, connections: 2 })
  queue = createQueue(connection)
  await queue.ensureQueue('good', { notify: false })
})
afterAll(async () => {
  await connection?.close()
  await database?.dispose()
})

/** All relations, functions and triggers there are, and pgmq's list of queues. */
async function everything(): Promise<unknown> {
  const [row] = await database.admin`select
    (select array_agg(c.oid::regclass::text order by c.oid) from pg_class c where c.relnamespace::regnamespace::text in ('pgmq', 'public', 'queue_worker')) as relations,
    (select array_agg(t.tgname order by t.oid) from pg_trigger t) as triggers,
    (select array_agg(m.queue_name order by m.queue_name) from pgmq.meta m) as queues,
    (select array_agg(q::text order by q.queue) from queue_worker.queues q) as known`
  return row
}

const storable = nastyText.filter((text) => text.isWellFormed() && !text.includes('\u0000'))
const badName = storable.filter((name) => !/^[a-z0-9_-]{1,43}$/.test(name))

describe('a name that no queue can have', () => {
  test('is refused by every entry point that takes one, and nothing comes of it', async () => {
    const before = await everything()
    await forAll(badName, { runs: 60 }, async (name) => {
      const receipt = { queue: name, msgId: '1', delivery: 1, enqueuedAt: '2026-01-01' }
      for (const call of [
        () => queue.send([{ queue: name, message: 1 }]),
        () => queue.send([1, 2, 3, 4].map((message) => ({ queue: name, message }))),
        () => queue.ensureQueue(name, { notify: true }),
        () => queue.setPaused(name, true),
        () => queue.deadLetters(name, {}),
        () => queue.redrive(name, {}),
        () => queue.discardDeadLetters(name, { msgIds: ['1'] }),
        () => queue.settle([{ receipt, outcome: { kind: 'archive' } }], 'w'),
        () => queue.extend([{ receipt, visibilityTimeoutSeconds: 5 }]),
        () => queue.isolate({ receipt, visibilityTimeoutSeconds: 5 }, 'w'),
      ]) {
        const failure = await failureOf(call())
        expect(failure, call.toString()).toMatchObject({ kind: 'rejected', transient: false })
        expect(failure.message.length).toBeLessThan(700)
        expect(failure.remedy).not.toBe('')
      }
      const read = await queue.read([{ queue: name, limit: 1, visibilityTimeoutSeconds: 1 }], 1e6)
      expect(read).toMatchObject({ messages: [], queues: [{ status: 'error' }] })
      expect(await queue.counts([name])).toEqual([])
    })
    expect(await everything()).toEqual(before)
  })

  test('is refused by a producer and a processor’s send before anything is asked', async () => {
    const producer = createProducer(connection)
    await forAll(badName, { runs: 200 }, async (name) => {
      await expect(producer.send(name, {})).rejects.toThrow(
        /is no queue name: use 1 to 43 of a-z, 0-9, _ and -/,
      )
    })
  })

  test('is refused in QUEUES without being repeated, as it may be a secret', async () => {
    await forAll(badName, { runs: 300 }, (name) => {
      const words = name.split(/[\s,]+/).filter((word) => word !== '')
      const isFine = words.every((word) => /^[a-z0-9_-]{1,43}$/.test(word))
      const load = () =>
        loadConfig({
          SUPABASE_URL: 'https://x.supabase.co',
          SUPABASE_SECRET_KEY: 'sb_secret_x',
          QUEUES: name,
        })
      if (isFine) return void load()
      expect(load).toThrow(SetupError)
      expect(load).toThrow(/^ *QUEUES has \d+ name\(s\) that no queue can have; allowed: /m)
    })
  })

  test.each(["x'; drop table pgmq.meta; --", 'Email Queue', 'a'.repeat(44), ''])(
    'ends a worker that has a processor for %j',
    async (name) => {
      const before = await everything()
      const processor = defineProcessor({ queue: name, payload: z.unknown(), process() {} })
      const own = connectPostgres({ url: database.url, connections: 1 })
      const worker = createWorker({ connection: own, processors: [processor], logger: 'silent' })
      worker.done.catch(() => {})
      await expect(worker.start()).rejects.toThrow(/is no queue name/)
      await worker.stop('it could not start')
      expect(await everything()).toEqual(before)
    },
  )
})

test('names that JavaScript has a meaning of its own for are names like any other', async () => {
  const names = ['__proto__', 'constructor', '-', '_', '0', 'null']
  const producer = createProducer(connection, { known: z.never() } as Record<string, z.ZodType>)
  const seen: Record<string, unknown>[] = []
  const processors = names.map((name) =>
    defineProcessor({
      queue: name,
      payload: z.unknown(),
      process: (payload, context) => void seen.push({ payload, queue: context.queue }),
    }),
  )
  const own = connectPostgres({ url: database.url, connections: 2 })
  const config = loadConfig({
    SUPABASE_URL: 'https://x.supabase.co',
    SUPABASE_SECRET_KEY: 'sb_secret_x',
    QUEUES: names.join(),
  })
  const queueOverrides = Object.fromEntries(names.map((name) => [name, queueOverridesOf(config, name)]))
  const worker = createWorker({ connection: own, processors, queueOverrides, logger: 'silent' })
  try {
    await worker.start()
    for (const name of names) await producer.send(name, { name })
    await until('all of them are done', () => seen.length === names.length)
    expect(seen).toEqual(expect.arrayContaining(names.map((name) => ({ queue: name, payload: { name } }))))
  } finally {
    await worker.stop('the test is over')
  }
  expect((await queue.counts(names)).map(({ queue: name, ready, dead }) => [name, ready + dead])).toEqual(
    names.toSorted().map((name) => [name, 0]),
  )
})

describe('dynamic SQL', () => {
  type Row = { name: string; source: string; parameters: string }
  const functions = () => database.admin<Row[]>`
    select p.oid::regprocedure::text as name, p.prosrc as source, pg_get_function_identity_arguments(p.oid) as parameters
    from pg_proc p where (p.pronamespace = 'queue_worker'::regnamespace
      or p.pronamespace = 'public'::regnamespace and p.proname ~ '^(queue_worker_|pgmq_metrics$)')`

  /** Its arguments are SQL: the migrations give them, and nobody but their owner can. */
  const MAKER = 'queue_worker.make_entry_point(text,text,text,text,text,text)'

  test('of every function puts in nothing but quoted names and literals', async () => {
    let executes = 0
    for (const { name, source, parameters } of await functions()) {
      if (name === MAKER) continue
      const found = unquotedIn({ source, arguments: parameters })
      expect(found.problems, name).toEqual([])
      executes += found.executes
    }
    expect(executes).toBeGreaterThan(15)
  })

  test('that is given as SQL is for the owner of the functions alone', async () => {
    const callers = await database.admin`
      select coalesce(a.grantee::regrole::text, 'public') as role from pg_proc p, aclexplode(p.proacl) a
      where p.oid = ${MAKER}::regprocedure and a.grantee <> p.proowner`
    expect([...callers]).toEqual([])
    const [made] = await database.admin`
      select proacl is null as open, prosecdef as definer from pg_proc where oid = ${MAKER}::regprocedure`
    expect(made).toEqual({ open: false, definer: false })
  })

  test.each([
    [`execute 'select * from ' || queue`, /neither a literal nor format/],
    [`execute format('select * from %s m', queue)`, /puts queue into SQL with %s/],
    [`execute format('select * from ' || queue)`, /which is no literal/],
    [`execute format($q$ select %1$s from %2$I $q$, x, source) using y`, /puts x into SQL/],
    [`execute format('%I %s', a, case when b then 'c' else d end)`, /puts case/],
    [`execute format('%s', queue_worker.queue_table(q) || q)`, /puts queue_worker.queue_table\(q\) \|\| q/],
    [`return query execute statement`, /neither/],
  ])('that is not quoted would be noticed: %s', (source, says) => {
    expect(unquotedIn({ source, arguments: 'queue text' }).problems.join()).toMatch(says)
  })
})

describe('queues that pgmq made under names of all kinds', () => {
  const names = [
    'UPPER',
    'Two Words',
    'quo"te',
    "apo'strophe",
    'semi;colon',
    'dot.ted',
    'Ünï',
    '%s',
    '1',
    '-',
    'a'.repeat(47),
  ]
  const legal: string[] = []

  test('disturb neither reads, counts, sends, ensuring nor metrics of the others', async () => {
    for (const name of [...names, 'plain_dlq', 'q_good', 'good_dlq_dlq']) {
      const made = await database.sql`select pgmq.create(${name}::text)`.then(
        () => true,
        () => false,
      )
      if (made) legal.push(name)
    }
    expect(legal).toEqual(expect.arrayContaining(['UPPER', '1', 'plain_dlq']))
    await forAll(fc.constantFrom(...legal), { runs: 15 }, async (odd) => {
      await queue.ensureQueue('good', { notify: true })
      await queue.send([{ queue: 'good', message: { odd } }])
      const demands = [odd, 'good'].map((name) => ({ queue: name, limit: 1, visibilityTimeoutSeconds: 5 }))
      const { messages, queues } = await queue.read(demands, 1e6)
      expect(messages.map(({ payload }) => payload)).toEqual([{ odd }])
      expect(queues[1]).toMatchObject({ queue: 'good', status: 'ok' })
      const [message] = messages
      if (message === undefined) return
      const settled = await queue.settle([{ receipt: message, outcome: { kind: 'archive' } }], 'w')
      expect(settled).toEqual([{ status: 'ok' }])
      expect((await queue.counts()).map((one) => one.queue)).toContain('good')
      await queue.counts([odd, 'good'])
      expect(await database.sql`select * from pgmq_metrics('good')`).toHaveLength(1)
      await database.sql`select * from pgmq_metrics(${odd})`.catch((error) =>
        expect(error.code).toBe('QW003'),
      )
      expect(await database.sql`select * from pgmq.good`).toEqual([])
    })
    await applyMigrations(database.sql, await listMigrations())
  })

  test('that ours may have work in full, those that look like dead letters too', async () => {
    for (const name of legal.filter((one) => /^[a-z0-9_-]{1,43}$/.test(one))) {
      await queue.ensureQueue(name, { notify: true })
      await queue.send([{ queue: name, message: { name } }])
      const { messages } = await queue.read([{ queue: name, limit: 5, visibilityTimeoutSeconds: 5 }], 1e6)
      expect(messages, name).toMatchObject([{ payload: { name } }])
      const results = await queue.settle(
        messages.map((receipt) => ({
          receipt,
          outcome: { kind: 'dead', reason: 'unrecoverable', error: 'e', attempts: 1 },
        })),
        'w',
      )
      expect(results).toEqual([{ status: 'ok' }])
      expect(await queue.redrive(name, {})).toHaveLength(1)
      expect(await queue.counts([name])).toMatchObject([{ queue: name, ready: 1, dead: 0 }])
    }
  })
})
