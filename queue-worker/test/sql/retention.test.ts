/** Retention: what is old goes, what belongs to a message that is still there stays, and nobody has to wait meanwhile. */
import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, beforeEach, expect, inject, test } from 'vitest'
import { pruneBy } from '../../src/commands/prune.ts'
import { ConnectionFailure } from '../../src/errors.ts'
import type { Queue } from '../../src/queue/contract.ts'
import type { Message } from '../../src/queue/message.ts'
import type { PruneOptions } from '../../src/queue/operator.ts'
import { pruneAll } from '../../src/queue/prune-all.ts'
import { createQueue } from '../../src/queue/queue.ts'
import { startPruning } from '../../src/scheduler/pruning.ts'
import { applyMigrations, listMigrations } from '../../src/services/migrations.ts'
import { connectPostgres } from '../../src/services/postgres.ts'
import { settling } from '../support/bench.ts'
import { createDatabase, type TestDatabase } from '../support/databases.ts'

let database: TestDatabase
let queue: Queue
const NAME = 'email_queue'
const TABLES = [
  ...['outcomes', 'isolations', 'ledger', 'stats', 'sent_keys', 'origins', 'workers', 'arrivals', 'audit'],
] as const

beforeAll(async () => {
  database = await createDatabase(inject('stack'))
  await applyMigrations(database.sql, await listMigrations())
  queue = createQueue(connectPostgres({ url: database.url }))
  await queue.ensureQueue(NAME, { notify: false })
  await queue.ensureQueue('reports', { notify: false })
})
beforeEach(async () => {
  for (const table of TABLES) await database.admin.unsafe(`truncate queue_worker.${table}`)
  for (const name of [NAME, `${NAME}_dlq`, 'reports'])
    await database.admin.unsafe(`truncate pgmq.q_${name}, pgmq.a_${name}`)
  await database.sql`update queue_worker.queues set archive_retention_days = null`
})
afterAll(async () => {
  await queue.close()
  await database.dispose()
})

const prune = (options: PruneOptions = {}) => queue.prune(options)
const read = async (): Promise<readonly Message[]> =>
  (await queue.read([{ queue: NAME, limit: 100, visibilityTimeoutSeconds: 600 }], 1e7)).messages
const count = async (table: string) => {
  const [row] = await database.sql.unsafe(`select count(*)::int as n from ${table}`)
  return row?.n
}

/** Moves everything there is so many days into the past, the messages too. */
async function days(ago: number): Promise<void> {
  const { sql } = database
  const back = sql`make_interval(days => ${ago})`
  // A computed key follows from the time.
  await sql`update queue_worker.ledger l
    set origin_key = queue_worker.computed_origin_key(${NAME}, m.msg_id, m.enqueued_at - ${back}) from ${sql(`pgmq.q_${NAME}`)} m
    where l.origin_key = queue_worker.computed_origin_key(${NAME}, m.msg_id, m.enqueued_at)`
  for (const table of [
    `pgmq.q_${NAME}`,
    'queue_worker.outcomes',
    'queue_worker.isolations',
    'queue_worker.origins',
  ])
    await sql`update ${sql(table)} set enqueued_at = enqueued_at - ${back}`
  await sql`update queue_worker.outcomes set recorded_at = recorded_at - ${back}`
  await sql`update queue_worker.isolations set started_at = started_at - ${back}`
  await sql`update queue_worker.ledger set started_at = started_at - ${back}`
  await sql`update queue_worker.stats set minute = minute - ${back}`
  await sql`update queue_worker.sent_keys set sent_at = sent_at - ${back}`
  await sql`update queue_worker.workers set seen_at = seen_at - ${back}`
  await sql`update queue_worker.arrivals set minute = minute - ${back}`
  await sql`update queue_worker.audit set at = at - ${back}`
}

/** A message with a row in every table: a failure, a run alone, a step, an idempotency key; its origin key is given or computed. */
async function withRecords(key: string, originKey?: string): Promise<Message> {
  await database.sql`select queue_worker.send_one(${NAME}, ${database.sql.json({ key })}::jsonb, null, null, ${key}, ${originKey ?? null})`
  const message = (await read()).at(-1) ?? expect.fail()
  await queue.isolate({ receipt: message, visibilityTimeoutSeconds: 600 }, 'w')
  const retry = { kind: 'retry', delayMs: 0, error: 'e' } as const
  await queue.settle([settling(message, retry)], 'w')
  await queue.ledgerStart(message.originKey, 'mail', false, 'run')
  return (await read()).at(-1) ?? expect.fail()
}

test('what is older than 30 days goes once its message is gone, and nothing younger does', async () => {
  const message = await withRecords('gone', 'given-1')
  await queue.settle([settling(message, 'delete')], 'w')
  await queue.beat({
    workerId: 'w',
    instance: 'i',
    version: '1',
    host: 'h',
    pid: 1,
    queues: [NAME],
    inFlight: 0,
  })
  await queue.act({ action: 'pause', queue: NAME }, 'ann')
  await queue.act({ action: 'resume', queue: NAME }, 'ann')
  await days(29)
  expect(await prune()).toEqual({ deleted: {}, next: null })
  await days(2)
  expect(await prune({ days: 0 }), '0 keeps all').toEqual({ deleted: {}, next: null })
  expect(await prune({ days: 32 })).toEqual({ deleted: {}, next: null })
  const { deleted } = await prune()
  expect(Object.keys(deleted).toSorted()).toEqual([...TABLES].toSorted())
  for (const table of TABLES) expect(await count(`queue_worker.${table}`), table).toBe(0)
})

test.each([
  ['with a computed origin key', undefined],
  ['with a given one', 'given-2'],
])(
  'a message that waits keeps its failures, its isolations, its steps and its keys, %s',
  async (_, originKey) => {
    const message = await withRecords('waits', originKey)
    await days(100)
    const kept = ['outcomes', 'isolations', 'ledger', 'sent_keys', ...(originKey ? ['origins'] : [])]
    expect(Object.keys((await prune()).deleted)).toEqual(['stats'])
    for (const table of kept) expect(await count(`queue_worker.${table}`), table).toBe(1)
    // Once it is gone they go too.
    await database.sql`select pgmq.delete(${NAME}::text, ${message.msgId}::bigint)`
    expect(Object.keys((await prune()).deleted).toSorted()).toEqual(kept.toSorted())
  },
)

test('a queue that is called like a dead-letter queue keeps the steps of its messages, too', async () => {
  await database.sql`select queue_worker.ensure_queue('own_dlq', false)`
  await database.sql`select pgmq.send('own_dlq', '{}')`
  const [message] = (await queue.read([{ queue: 'own_dlq', limit: 1, visibilityTimeoutSeconds: 1 }], 1e6))
    .messages
  await queue.ledgerStart(message?.originKey ?? '', 'mail', false, 'run')
  await database.sql`update queue_worker.ledger set started_at = now() - interval '50 days'`
  await prune({ days: 30 })
  // Its message has to be older than what it did.
  expect(await count('queue_worker.ledger')).toBe(0)
  await queue.ledgerStart(message?.originKey ?? '', 'mail', false, 'run')
  await database.sql`update pgmq.q_own_dlq set enqueued_at = now() - interval '60 days'`
  const [old] = await database.sql`
    select queue_worker.computed_origin_key('own_dlq', msg_id, enqueued_at) as key from pgmq.q_own_dlq`
  await database.sql`update queue_worker.ledger set origin_key = ${old?.key}, started_at = now() - interval '50 days'`
  await prune({ days: 30 })
  expect(await count('queue_worker.ledger')).toBe(1)
  await database.sql`select pgmq.drop_queue('own_dlq')`
  await database.sql`delete from queue_worker.ledger where true`
})

test('a bite that takes too long is halved, and told when the smallest does', async () => {
  const limits: (number | undefined)[] = []
  const timeout = new ConnectionFailure('timeout', 'too long', 'None: a test did it.', true)
  const slow = (most: number) => ({
    prune: async ({ limit = 0 }: PruneOptions) => {
      limits.push(limit)
      if (limit > most) throw timeout
      return { deleted: { stats: 1 }, next: limits.length < 6 ? { stats: 'x' } : null }
    },
  })
  expect(await pruneAll(slow(300), {})).toEqual({ stats: 4 })
  expect(limits).toEqual([1000, 500, 250, 250, 250, 250])
  await expect(pruneAll(slow(0), {})).rejects.toBe(timeout)
})

test.each([
  ['with a computed origin key', undefined],
  ['with a given one', 'given-3'],
])('a dead letter keeps them, and so does what it is redriven as, %s', async (_, originKey) => {
  const message = await withRecords('dies', originKey)
  await days(100)
  const again = { ...message, enqueuedAt: '' }
  const [row] = await database.sql`select enqueued_at::text as at from pgmq.q_email_queue`
  await queue.settle([settling({ ...again, enqueuedAt: row?.at } as Message, 'dead')], 'w')
  await database.sql`update queue_worker.outcomes set recorded_at = now() - interval '100 days'`
  await prune()
  expect(await count('queue_worker.outcomes'), 'failure and death').toBe(2)
  expect(await count('queue_worker.isolations')).toBe(1)
  expect(await count('queue_worker.ledger')).toBe(1)
  // A redrive that is not committed: whoever prunes sees the letter still.
  await database.sql.begin(async (tx) => {
    await tx`select public.queue_worker_redrive(${tx.json({ protocol: 2, queue: NAME })}::jsonb)`
    await prune()
    expect(await count('queue_worker.ledger')).toBe(1)
  })
  await prune()
  expect(await count('queue_worker.ledger'), 'the redriven message has the step').toBe(1)
  expect(await count('queue_worker.origins'), 'and its key').toBeGreaterThan(0)
  expect(await count('queue_worker.outcomes'), 'the failures of its former life are of no use').toBe(0)
})

test('a discarded letter keeps its steps: it can be put back', async () => {
  const message = await withRecords('dies', undefined)
  await queue.settle([settling(message, 'dead')], 'w')
  await queue.act({ action: 'discard', queue: NAME, all: true }, 'ann')
  await days(100)
  await prune()
  expect(await count('queue_worker.ledger')).toBe(1)
  await database.sql`delete from pgmq.a_email_queue_dlq where true`
  await prune()
  expect(await count('queue_worker.ledger')).toBe(0)
})

test('a call looks at no more than its bite, and goes on behind what it had to keep', async () => {
  const { sql } = database
  await sql`select pgmq.send(${NAME}::text, jsonb_build_object('n', n), 3600) from generate_series(1, 25) n`
  await sql`update pgmq.q_email_queue set read_ct = 1, enqueued_at = now() - interval '90 days'`
  await sql`insert into queue_worker.outcomes (queue, msg_id, enqueued_at, delivery, outcome, recorded_at)
    select ${NAME}, m.msg_id, m.enqueued_at, 1, 'retry', now() - interval '90 days' + m.msg_id * interval '1 s' from pgmq.q_email_queue m`
  await sql`insert into queue_worker.outcomes (queue, msg_id, enqueued_at, delivery, outcome, recorded_at)
    select ${NAME}, 1000000 + n, now(), 1, 'retry', now() - interval '60 days' + n * interval '1 s' from generate_series(1, 25) n`
  const first = await prune({ limit: 10 })
  expect(first).toEqual({ deleted: {}, next: { outcomes: expect.any(String) } })
  let calls = 1
  let after = first.next
  while (after !== null) {
    const { deleted, next } = await prune({ limit: 10, after })
    expect(deleted.outcomes ?? 0).toBeLessThanOrEqual(10)
    after = next
    calls += 1
  }
  expect(calls).toBe(6)
  expect(await count('queue_worker.outcomes'), 'those of messages that wait').toBe(25)
  expect(await pruneAll(queue, { limit: 10 })).toEqual({})
})

test('archives are kept for ever but where somebody said otherwise', async () => {
  const { sql } = database
  for (const name of [NAME, 'reports']) {
    await sql`select pgmq.send(${name}::text, '{}'::jsonb) from generate_series(1, 3)`
    await sql`select pgmq.archive(${name}::text, array(select msg_id from ${sql(`pgmq.q_${name}`)}))`
    await sql`update ${sql(`pgmq.a_${name}`)} set archived_at = now() - interval '100 days'`
  }
  const left = async () => [await count('pgmq.a_email_queue'), await count('pgmq.a_reports')]
  expect((await prune()).deleted).toEqual({})
  await sql`update queue_worker.queues set archive_retention_days = 101 where queue = 'reports'`
  expect((await prune()).deleted).toEqual({})
  expect(await prune({ archiveDays: { email_queue: 99 }, limit: 2 })).toMatchObject({
    deleted: { 'archive of email_queue': 3 }, // as old as each other to the microsecond
  })
  expect(await left()).toEqual([0, 3])
  await sql`update queue_worker.queues set archive_retention_days = 99 where queue = 'reports'`
  expect((await prune({ archiveDays: { reports: 0 } })).deleted, 'a request wins').toEqual({})
  expect((await prune({ days: 0 })).deleted).toEqual({ 'archive of reports': 3 })
})

test('nobody waits for it, and it waits for nobody', async () => {
  const { sql, admin } = database
  for (const key of ['held', 'free']) {
    await queue.ledgerStart(key, 's', false, 't')
  }
  await days(31)
  await admin.begin(async (tx) => {
    await tx`select 1 from queue_worker.ledger where origin_key = 'held' for update`
    expect((await prune()).deleted, 'a row that somebody holds is left').toEqual({ ledger: 1 })
  })
  await sql.begin(async (tx) => {
    await tx`select queue_worker.prune('{}')`
    expect(await prune(), 'while another one prunes').toEqual({ deleted: {}, next: null })
  })
  expect(await count('queue_worker.ledger')).toBe(0)
})

test('many callers at once delete everything once', async () => {
  await database.sql`insert into queue_worker.stats (queue, minute, backend)
    select 'x', date_trunc('minute', now()) - interval '60 days' - n * interval '1 minute', 1 from generate_series(1, 500) n`
  const counts = await Promise.all([1, 2, 3].map(() => pruneAll(queue, { limit: 50 })))
  const last = await pruneAll(queue, { limit: 50 })
  expect([...counts, last].reduce((sum, { stats = 0 }) => sum + stats, 0)).toBe(500)
})

test('the loop of docs/sql.md deletes all of it', async () => {
  await database.sql`insert into queue_worker.stats (queue, minute, backend)
    select 'x', date_trunc('minute', now()) - interval '60 days' - n * interval '1 minute', 1 from generate_series(1, 10500) n`
  const text = await readFile(new URL('../../../docs/sql.md', import.meta.url), 'utf8')
  const [, loop = ''] = /```sql prune-by-cron\n([\s\S]*?)```/.exec(text) ?? []
  await database.sql.unsafe(loop).simple()
  expect(await count('queue_worker.stats')).toBe(0)
})

test('a number of days that is none is refused', async () => {
  for (const options of [{ days: -1 }, { archiveDays: { email_queue: -1 } }]) {
    await expect(prune(options)).rejects.toThrow(/less than no time/)
  }
})

test('a scheduler does so by itself, by the settings', async () => {
  const old = "clock_timestamp() - interval '10 days'"
  await database.sql.unsafe(
    `insert into queue_worker.stats (queue, minute, backend) values ('${NAME}', ${old}, 1)`,
  )
  const config = { retention: { days: 9, archiveDays: 0 }, overrides: {} }
  const pruned = Promise.withResolvers<object>()
  const pruning = startPruning({
    prune: (signal) => pruneBy(config)(queue, signal),
    emit: (_name, event) => pruned.resolve(event),
    intervalMs: 10,
    onBroken: pruned.reject,
  })
  expect(await pruned.promise).toEqual({ deleted: { stats: 1 } })
  await pruning.stop()
  expect(await count('queue_worker.stats')).toBe(0)
})
