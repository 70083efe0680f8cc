/**
 * Waking through pg_net. The extension cannot be had here, so a schema `net` stands in for it: http_post with the published
 * signature, which writes down the requests of transactions that commit. That the real one then sends them is its own promise.
 */
import { readFileSync } from 'node:fs'
import postgres from 'postgres'
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest'
import { applyMigrations, listMigrations } from '../../src/services/migrations.ts'
import { createDatabase, type TestDatabase } from '../support/databases.ts'
import { standInForPgNet } from '../support/pg-net.ts'
import { untilBlockedBy } from '../support/queues.ts'

const stack = inject('stack')
const ADDRESS = 'https://worker.example.com/wake'
let database: TestDatabase
let sql: postgres.Sql

beforeEach(async () => {
  database = await createDatabase(stack)
  sql = database.sql
  await applyMigrations(sql, await listMigrations())
  for (const queue of ['orders', 'mails']) await sql`select queue_worker.ensure_queue(${queue}, false)`
})
afterEach(() => database.dispose())

const requests = async () =>
  (await sql`select url, headers, body, timeout_milliseconds as ms from net.asked order by id`).map(
    (row) => ({ ...row }),
  )
const count = async () => (await requests()).length
const send = (on: postgres.ISql | postgres.Sql, queue = 'orders') =>
  on`select pgmq.send(${queue}, '{}'::jsonb)`
/** Lets time pass for the debouncing. */
const pass = (seconds: number) =>
  sql`update queue_worker.wakers set called_at = called_at - make_interval(secs => ${seconds}) where true`

test('without pg_net it is refused, with what to do, and nothing is changed', async () => {
  await expect(sql`select queue_worker.wake_by(${ADDRESS})`).rejects.toMatchObject({
    code: 'QW002',
    message: 'queue-worker: the extension pg_net is not here, so the database cannot wake anybody',
    hint: expect.stringMatching(/^Turn it on \(Supabase: Database > Extensions/),
  })
  expect(await sql`select from queue_worker.wakers`).toHaveLength(0)
  expect(await sql`select from pg_trigger where tgname = 'queue_worker_wake'`).toHaveLength(0)
})

describe('with pg_net', () => {
  beforeEach(() => standInForPgNet(sql))

  test('an insert asks for the address once it commits, with the token; what is rolled back does not', async () => {
    const [made] = await sql`select queue_worker.wake_by(${ADDRESS}, '{orders}', 'the-token') as queues`
    expect(made?.queues).toEqual(['orders'])
    await sql
      .begin(async (tx) => {
        await send(tx)
        expect(await tx`select from net.asked`).toHaveLength(0)
        throw new Error('roll back')
      })
      .catch(() => {})
    expect(await count()).toBe(0)
    await sql.begin(async (tx) => {
      await send(tx)
      await send(tx)
      await tx`savepoint one`
      await send(tx)
      await tx`rollback to one`
    })
    const headers = { Authorization: 'Bearer the-token' }
    expect(await requests()).toEqual([{ url: ADDRESS, headers, body: {}, ms: 10_000 }])
    await send(sql, 'mails')
    expect(await count()).toBe(1)
  })

  test('inserts that follow within five seconds ask no more, later ones do', async () => {
    await sql`select queue_worker.wake_by(${ADDRESS})`
    for (let n = 0; n < 5; n++) await send(sql)
    expect(await count()).toBe(1)
    await pass(4)
    await send(sql)
    expect(await count()).toBe(1)
    await pass(2)
    await send(sql)
    expect(await count()).toBe(2)
    // Each queue for itself.
    await send(sql, 'mails')
    expect(await count()).toBe(3)
  })

  test('a transaction that inserted long ago asks when it commits, though others asked in between', async () => {
    await sql`select queue_worker.wake_by(${ADDRESS})`
    await sql.begin(async (tx) => {
      await send(tx)
      await send(sql)
      await pass(60)
    })
    expect(await count()).toBe(2)
  })

  test('of two that commit at once the second waits for the first, and asks if that one fails', async () => {
    await sql`select queue_worker.wake_by(${ADDRESS})`
    for (const [end, asked] of [
      ['commit', 1],
      ['rollback', 1],
    ] as const) {
      await pass(60)
      const before = await count()
      const first = postgres(database.url, { max: 1 })
      const second = postgres(database.url, { max: 1 })
      const [{ pid = 0 } = {}] = await first<{ pid: number }[]>`select pg_backend_pid() as pid`
      await first`begin`
      await send(first)
      await first`set constraints all immediate` // as far as a commit has come when it waits for the disk
      const other = send(second).execute()
      await untilBlockedBy(sql, pid)
      await first.unsafe(end)
      await other
      expect(await count()).toBe(before + asked)
      await Promise.all([first.end(), second.end()])
    }
  })

  test('a serialisable transaction that cannot tell asks once more rather than not at all', async () => {
    await sql`select queue_worker.wake_by(${ADDRESS})`
    await sql.begin('isolation level repeatable read', async (tx) => {
      await tx`select 1`
      await send(sql)
      await send(tx)
    })
    expect(await count()).toBe(2)
  })

  test('nobody fails to send because nobody can be woken: neither for errors of pg_net, nor for its absence', async () => {
    await sql`select queue_worker.wake_by(${ADDRESS})`
    await sql`create function net.refuse() returns trigger language plpgsql as $$ begin raise exception 'the pg_net background worker must be up'; end $$`
    await sql`create trigger refuse before insert on net.asked for each row execute function net.refuse()`
    await send(sql)
    await sql`drop schema net cascade`
    await pass(60)
    await send(sql)
    await sql`delete from queue_worker.wakers where true`
    await send(sql)
    const [{ n } = {}] = await sql`select count(*)::int as n from pgmq.q_orders`
    expect(n).toBe(3)
  })

  test('who may insert needs no right of ours or of pg_net', async () => {
    await sql`select queue_worker.wake_by(${ADDRESS})`
    await database.admin.unsafe(`
      create role ${database.name} ; grant usage on schema pgmq to ${database.name};
      grant insert, select on pgmq.q_orders to ${database.name}; grant select on pgmq.meta to ${database.name};
      set role ${database.name}; select pgmq.send('orders', '{}'); reset role`)
    expect(await count()).toBe(1)
    await database.admin.unsafe(`drop owned by ${database.name}; drop role ${database.name}`)
  })

  test('a new address replaces the old one, and wake_by_nobody takes all back', async () => {
    await sql`select queue_worker.wake_by('http://old.example.com/wake')`
    await sql`select queue_worker.wake_by(${ADDRESS}, '{orders}')`
    await send(sql)
    await send(sql, 'mails')
    expect((await requests()).map(({ url }) => url)).toEqual([ADDRESS, 'http://old.example.com/wake'])
    const [freed] = await sql`select queue_worker.wake_by_nobody() as queues`
    expect(freed?.queues).toEqual(['mails', 'orders'])
    await send(sql)
    expect(await count()).toBe(2)
    expect(await sql`select from pg_trigger where tgname = 'queue_worker_wake'`).toHaveLength(0)
  })

  test('the statements of docs/sleep.md do what they say', async () => {
    const page = readFileSync(new URL('../../../docs/sleep.md', import.meta.url), 'utf8')
    const [, block = ''] = /^```sql\n([\s\S]*?)^```$/m.exec(page) ?? []
    for (const queue of ['email_queue', 'reports'])
      await sql`select queue_worker.ensure_queue(${queue}, false)`
    const answers = await sql.unsafe(block)
    const all = ['email_queue', 'mails', 'orders', 'reports']
    expect(answers.flat().map((row) => Object.values(row)[0])).toEqual([all, ['email_queue', 'reports'], all])
  })

  test('what makes no sense is refused', async () => {
    for (const url of [null, '', 'worker.example.com/wake', 'ftp://worker/wake', 'https://a b/wake'])
      await expect(sql`select queue_worker.wake_by(${url})`).rejects.toMatchObject({ code: 'QW002' })
    await expect(sql`select queue_worker.wake_by(${ADDRESS}, '{nowhere}')`).rejects.toMatchObject({
      code: 'QW003',
    })
    await expect(sql`select queue_worker.wake_by(${ADDRESS}, '{"a b"}')`).rejects.toMatchObject({
      code: 'QW002',
    })
    expect(await sql`select from queue_worker.wakers`).toHaveLength(0)
  })

  test('a hundred thousand rows in one transaction ask once, and cost little', async () => {
    await sql`select queue_worker.wake_by(${ADDRESS}, '{orders}')`
    const insert = (queue: string) =>
      sql`select count(*) from pgmq.send_batch(${queue}, array(select '{}'::jsonb from generate_series(1, 100000)))`
    const took = async (run: () => Promise<unknown>) => {
      const beganMs = performance.now()
      await run()
      return performance.now() - beganMs
    }
    const plain = await took(() => insert('mails'))
    const waking = await took(() => insert('orders'))
    expect(await count()).toBe(1)
    // Measured: some 3 µs a row. The bound is wide, as others use this machine.
    expect(waking - plain).toBeLessThan(10_000)
    console.info(`100,000 rows: ${Math.round(plain)} ms plain, ${Math.round(waking)} ms waking`)
  })
})
