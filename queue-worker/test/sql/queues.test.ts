/** What people do with plain SQL beside the worker: the owner's queries, views, dropping queues, upgrading pgmq. */
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { applyMigrations, listMigrations } from '../../src/services/migrations.ts'
import { createDatabase, type TestDatabase } from '../support/databases.ts'

let database: TestDatabase
beforeAll(async () => {
  database = await createDatabase(inject('stack'))
  await applyMigrations(database.sql, await listMigrations())
  await database.sql`select queue_worker.ensure_queue('email_queue', true)`
})
afterAll(() => database.dispose())

test("the owner's three queries answer", async () => {
  const { sql } = database
  await sql`select pgmq.send('email_queue'::text, jsonb_build_object('n', n)) from generate_series(1, 7) n`
  const metrics =
    await sql`SELECT queue_length, newest_msg_age_sec, oldest_msg_age_sec, total_messages FROM pgmq_metrics('email_queue')`
  expect(metrics).toEqual([
    {
      queue_length: '7',
      newest_msg_age_sec: expect.any(Number),
      oldest_msg_age_sec: expect.any(Number),
      total_messages: '7',
    },
  ])
  const queues = await sql`SELECT * FROM pgmq.list_queues()`
  expect(queues.map(({ queue_name }) => queue_name).toSorted()).toEqual(['email_queue', 'email_queue_dlq'])
  const newest = await sql`SELECT * FROM pgmq.email_queue ORDER BY enqueued_at DESC LIMIT 5`
  expect(newest).toHaveLength(5)
  expect(newest[0]).toEqual({
    msg_id: expect.any(String),
    read_ct: 0,
    enqueued_at: expect.any(Date),
    vt: expect.any(Date),
    message: { n: expect.any(Number) },
    headers: null,
  })
})

test('metrics of a queue that does not exist name it', async () => {
  await expect(database.sql`select * from pgmq_metrics('nope')`).rejects.toMatchObject({
    code: 'QW003',
    message: expect.stringContaining('nope'),
  })
})

test('pgmq drops a queue that has our view, trigger and dead letters, and the queue can be made anew', async () => {
  const { sql } = database
  await sql`select queue_worker.ensure_queue('gone', true)`
  await sql`select pgmq.send('gone'::text, '{}'::jsonb)`
  await sql`select pgmq.drop_queue('gone'::text)`
  await expect(sql`select * from pgmq.gone`).rejects.toMatchObject({ code: 'QW003' })
  await sql`select queue_worker.ensure_queue('gone', true)`
  expect(await sql`select * from pgmq.gone`).toEqual([])
  const [trigger] =
    await sql`select count(*)::int as n from pg_trigger where tgname = 'queue_worker_notify' and tgrelid = 'pgmq.q_gone'::regclass`
  expect(trigger).toEqual({ n: 1 })
})

test('a queue that exists already is taken as it is', async () => {
  const { sql } = database
  await sql`select pgmq.create('existing'::text)`
  await sql`select pgmq.send('existing'::text, '1'::jsonb)`
  await sql`select queue_worker.ensure_queue('existing', false)`
  expect(await sql`select message from pgmq.existing`).toEqual([{ message: 1 }])
})

test('a view takes no name that pgmq or somebody else uses', async () => {
  const { sql } = database
  await sql`create table pgmq.taken (mine int)`
  for (const queue of ['meta', 'taken', 'q_x', 'a_x', 'notify_insert_throttle']) {
    await sql`select queue_worker.ensure_queue(${queue}::text, false)`
    const [sent] = await sql`select pgmq.send(${queue}::text, '{}'::jsonb) as id`
    expect(sent, queue).toEqual({ id: '1' })
  }
  const views = await sql`select table_name from information_schema.views where table_schema = 'pgmq'`
  expect(views.map(({ table_name }) => table_name)).not.toEqual(expect.arrayContaining(['q_x']))
  expect(await sql`select * from pgmq.taken`).toEqual([])
  expect((await sql`select queue_name from pgmq.meta`).length).toBeGreaterThan(5)
})

test('many that make the same queue at once get one', async () => {
  const { sql } = database
  await Promise.all([1, 2, 3, 4].map(() => sql`select queue_worker.ensure_queue('rushed', true)`))
  expect(await sql`select queue_name from pgmq.list_queues() where queue_name ~ '^rushed'`).toHaveLength(2)
})

test('a producer with no right but to insert wakes listening workers all the same', async () => {
  const { admin } = database
  await admin
    .unsafe(`grant usage on schema pgmq to authenticated; grant insert on pgmq.q_email_queue to authenticated;
    grant usage on all sequences in schema pgmq to authenticated`)
    .simple()
  const heard: string[] = []
  const { unlisten } = await database.sql.listen('queue_worker', (queue) => void heard.push(queue))
  await admin.begin(async (tx) => {
    await tx`set local role authenticated`
    await tx`insert into pgmq.q_email_queue (vt, message) values (now(), '{}')`
  })
  await expect.poll(() => heard, { timeout: 30_000 }).toEqual(['email_queue'])
  await unlisten()
})

test('our functions survive that pgmq drops its composite types, as its upgrades to 1.10 and 1.12 do (a double)', async () => {
  const { admin, sql } = database
  const count = async () => {
    const [row] = await sql`select count(*)::int as n from pg_proc
      where pronamespace = 'queue_worker'::regnamespace or proname ~ '^(queue_worker_|pgmq_metrics$)'`
    return row?.n
  }
  const before = await count()
  const dropped = await admin.begin(async (tx) => {
    await tx.unsafe('alter extension pgmq drop type pgmq.message_record').simple()
    await tx
      .unsafe(`do $$ declare f regprocedure; begin
      for f in select p.oid::regprocedure from pg_proc p join pg_depend d on d.objid = p.oid and d.deptype = 'e' where p.pronamespace = 'pgmq'::regnamespace
      loop execute format('alter extension pgmq drop function %s', f); end loop; end $$`)
      .simple()
    await tx.unsafe('drop type pgmq.message_record cascade').simple()
    const [left] = await tx`select to_regprocedure('pgmq.read(text, int, int, jsonb)') is null as is_gone`
    const [ours] =
      await tx`select public.queue_worker_read('{"protocol": 1, "queues": [{"queue": "email_queue", "limit": 1, "vt_seconds": 1}]}') as answer`
    await tx`select * from pgmq.email_queue limit 1`
    return { isGone: left?.is_gone, status: ours?.answer.queues[0].status }
  })
  expect(dropped).toEqual({ isGone: true, status: 'ok' })
  expect(await count()).toBe(before)
})

test('who does not ask to go without gets every origin key, as the releases before did', async () => {
  const { sql } = database
  await sql`select queue_worker.ensure_queue('keys', false)`
  await sql`select pgmq.send('keys'::text, '1'::jsonb) from generate_series(1, 4)`
  const demand = { queue: 'keys', limit: 1, vt_seconds: 60 }
  const ask = async (name: string, more: object) => {
    const request = { protocol: 1, queues: [demand], settlements: [], worker_id: 'w', ...more }
    const [row] = await sql.unsafe(`select queue_worker_${name}($1::text::jsonb) as answer`, [
      JSON.stringify(request),
    ])
    const answer = row?.answer
    return (answer.read ?? answer).messages[0]
  }
  for (const name of ['read', 'exchange']) {
    const { origin_key, msg_id, enqueued_at } = await ask(name, {})
    const [known] =
      await sql`select queue_worker.computed_origin_key('keys', ${msg_id}, ${enqueued_at}::text::timestamptz) as key`
    expect(origin_key, name).toBe(known?.key)
    expect((await ask(name, { only_given_keys: true })).origin_key, name).toBeNull()
  }
})

test('a demand without a queue is told so, and the messages of the others are given', async () => {
  const { sql } = database
  await sql`select queue_worker.ensure_queue('beside', false)`
  await sql`select pgmq.send('beside'::text, '1'::jsonb)`
  const queues = [
    { limit: 1, vt_seconds: 60 },
    { queue: 'beside', limit: 1, vt_seconds: 60 },
  ]
  const request = JSON.stringify({ protocol: 1, queues })
  const [row] = await sql`select queue_worker_read(${request}::text::jsonb) as answer`
  expect(row?.answer.queues).toMatchObject([
    { queue: null, status: 'error' },
    { queue: 'beside', status: 'ok' },
  ])
  expect(row?.answer.messages).toMatchObject([{ queue: 'beside', message: 1 }])
})
