/** A database that has tables of its own by the names of ours: they stay as they are, and what needs no such table works. */
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { applyMigrations, listMigrations, tablesInTheWay } from '../../src/services/migrations.ts'
import { createDatabase, type TestDatabase } from '../support/databases.ts'

const NAMES = ['payments', 'payment_events', 'reports']
let database: TestDatabase

/** All that a migration could do to them: columns, indexes, triggers, policies, grants, comments, rows. */
async function described(): Promise<unknown> {
  const tables = await database.sql`
    select c.relname, c.relrowsecurity, c.relacl::text, obj_description(c.oid), c.relhastriggers,
      array(select a.attname || ' ' || a.atttypid::regtype from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 order by a.attnum),
      array(select i.indexrelid::regclass::text from pg_index i where i.indrelid = c.oid order by 1)
    from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'i') order by 1`
  const rows = await Promise.all(
    NAMES.map((name) => database.sql`select * from ${database.sql(`public.${name}`)}`),
  )
  return {
    tables: tables.map((row) => ({ ...row })),
    rows: rows.map((some) => some.map((row) => ({ ...row }))),
  }
}

beforeAll(async () => {
  database = await createDatabase(inject('stack'))
})
afterAll(() => database.dispose())

test('tables of somebody else are left alone, everything but payments and reports works, and those say why not', async () => {
  const { sql } = database
  for (const name of NAMES)
    await sql.unsafe(`create table public.${name} (id int primary key, total numeric)`)
  await sql`insert into public.payments values (1, 2.50)`
  await sql`create schema reports`
  await sql`create function reports.daily_volume(a int) returns int language sql as 'select a'`
  const before = await described()
  const migrations = await listMigrations()
  await applyMigrations(sql, migrations)
  for (const migration of migrations) await sql.unsafe(migration.sql).simple() // again, as after a release
  expect(await described()).toEqual(before)

  expect(
    await sql`select p.oid::regprocedure::text as name from pg_proc p where p.pronamespace = 'reports'::regnamespace order by 1`,
  ).toMatchObject([
    { name: 'reports.daily_volume(integer)' },
    { name: expect.stringContaining('reports.failures(') },
    { name: expect.stringContaining('reports.processing_times(') },
  ])

  const ask = async (entryPoint: string, request: object) => {
    const name = sql(`public.queue_worker_${entryPoint}`)
    const [row] =
      await sql`select ${name}(${JSON.stringify({ protocol: 2, ...request })}::text::jsonb) as answer`
    return row?.answer
  }
  await ask('ensure_queue', { queue: 'email_queue' })
  await sql`select pgmq.send('email_queue', '{"n": 1}'::jsonb)`
  const { messages } = await ask('read', { queues: [{ queue: 'email_queue', limit: 5, vt_seconds: 30 }] })
  expect(messages).toHaveLength(1)
  const create = { origin_key: 'o', operation: 'create', payment: { amount: '5', currency: 'EUR' } }
  await expect(ask('payment_begin', create)).rejects.toMatchObject({
    code: 'QW003',
    hint: expect.stringContaining('another name'),
  })
  const report = { origin_key: 'o', run: 'r', report: 'daily_volume', format: 'csv' }
  await expect(ask('report_start', report)).rejects.toMatchObject({
    message: expect.stringContaining('public.reports'),
    hint: expect.stringContaining('another name'),
  })
  expect(await tablesInTheWay(sql)).toEqual(NAMES.map((name) => `public.${name}`))
  expect(await applyMigrations(sql, migrations)).toEqual([])

  // As the hint says.
  for (const name of NAMES) await sql.unsafe(`alter table public.${name} rename to your_${name}`)
  expect((await applyMigrations(sql, migrations)).length).toBe(migrations.length)
  expect(await applyMigrations(sql, migrations)).toEqual([])
  expect(await tablesInTheWay(sql)).toEqual([])
  expect(await ask('payment_begin', create)).toMatchObject({ payment: { status: 'new', amount: '5' } })
  expect(await ask('report_start', { ...report, report: 'failures' })).toMatchObject({ state: 'running' })
  expect((await sql`select * from public.your_payments`).length).toBe(1)
})

test('nor are they taken for ours because of a column or two that they have', async () => {
  const other = await createDatabase(inject('stack'))
  try {
    const { sql } = other
    await sql`create table public.payments (id uuid primary key, status text, amount bigint, currency text, captured_amount bigint)`
    await sql`create table public.payment_events (origin_key text primary key, event_id text)`
    await sql`create view public.reports as select 'x' as origin_key, 'done' as state`
    await applyMigrations(sql, await listMigrations())
    expect(await tablesInTheWay(sql)).toEqual(NAMES.map((name) => `public.${name}`))
    const [payments] =
      await sql`select relhastriggers, relrowsecurity from pg_class where oid = 'public.payments'::regclass`
    expect(payments).toEqual({ relhastriggers: false, relrowsecurity: false })
    const start = { protocol: 2, origin_key: 'o', run: 'r', report: 'failures', format: 'csv' }
    await expect(sql`select public.queue_worker_report_start(${sql.json(start)})`).rejects.toMatchObject({
      code: 'QW003',
      message: expect.stringMatching(/public\.reports is missing, or is not the one of queue-worker/),
    })
  } finally {
    await other.dispose()
  }
})
