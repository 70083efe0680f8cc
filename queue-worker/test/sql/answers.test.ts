/** The answers that docs/sql.md promises: that they are right, and that none of them ever reads an archive. */
import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import type { Queue } from '../../src/queue/contract.ts'
import type { Message } from '../../src/queue/message.ts'
import { createQueue } from '../../src/queue/queue.ts'
import { applyMigrations, listMigrations } from '../../src/services/migrations.ts'
import { connectPostgres } from '../../src/services/postgres.ts'
import { outcomes } from '../support/bench.ts'
import { createDatabase, type TestDatabase } from '../support/databases.ts'

let database: TestDatabase
let queue: Queue
beforeAll(async () => {
  database = await createDatabase(inject('stack'))
  await applyMigrations(database.sql, await listMigrations())
  queue = createQueue(connectPostgres({ url: database.url }))
  for (const name of ['email_queue', 'reports']) await queue.ensureQueue(name, { notify: false })
})
afterAll(async () => {
  await queue.close()
  await database.dispose()
})

const read = async (name: string, visibilityTimeoutSeconds = 600): Promise<readonly Message[]> =>
  (await queue.read([{ queue: name, limit: 100, visibilityTimeoutSeconds }], 1e7)).messages
const settle = (receipt: Message | undefined, kind: keyof typeof outcomes, ranMs = 100, waitedMs = 10) =>
  queue.settle([{ receipt: receipt ?? expect.fail(), outcome: outcomes[kind], ranMs, waitedMs }], 'worker-1')
const expire = (name: string) =>
  database.sql`update ${database.sql(`pgmq.q_${name}`)} set vt = clock_timestamp()`

/** Every question of the page, as it stands there. */
async function questions(): Promise<string[]> {
  const text = await readFile(new URL('../../../docs/sql.md', import.meta.url), 'utf8')
  const table = text.slice(text.indexOf('## Answers'), text.indexOf('## Entry points'))
  return [...table.matchAll(/^\| .*\? \| `(select .*?;)`/gm)].map(([, sql = '']) => sql)
}

test('the page asks with every view and function there is for answers', async () => {
  const asked = (await questions()).join(' ')
  const views =
    await database.sql`select relname as name from pg_class where relnamespace = 'queue_worker'::regnamespace and relkind = 'v'`
  expect(views.length).toBe(4)
  for (const { name } of views) expect(asked).toContain(`queue_worker.${name}`)
  expect(asked).toMatch(/stuck_messages\(\).*near_last_attempt\(\)/)
})

test('each answers while nobody may touch an archive', async () => {
  const locked = database.sql.begin(async (tx) => {
    await tx`lock table pgmq.a_email_queue, pgmq.a_email_queue_dlq, pgmq.a_reports, pgmq.a_reports_dlq in access exclusive mode`
    for (const question of await questions()) {
      // Reading an archive, or only planning to, waits for its lock.
      await database.admin.begin(async (other) => {
        await other`set local lock_timeout = '2s'`
        await other.unsafe(question)
      })
    }
    await expect(
      database.admin.begin(async (other) => {
        await other`set local lock_timeout = '100ms'`
        await other`select count(*) from pgmq.a_reports`
      }),
      'and the lock would have been felt',
    ).rejects.toMatchObject({ code: '55P03' })
  })
  await locked
})

test('messages by state, days, hours and errors add up', async () => {
  await queue.send(Array.from({ length: 8 }, (_, n) => ({ queue: 'email_queue', message: n })))
  const [first, second, third, fourth, fifth, sixth] = await read('email_queue')
  await settle(first, 'archive', 300, 30)
  await settle(second, 'archive', 100, 10)
  await settle(third, 'delete', 100, 10)
  await settle(fourth, 'dead', 100, 10)
  await settle(fifth, 'retry', 0, 0)
  await settle(sixth, 'snooze', 0, 0)
  const { sql } = database
  const [state] = await sql`select * from queue_worker.messages_by_state where queue = 'email_queue'`
  expect(state).toMatchObject({
    ...{ ready: '0', in_flight: '2', delayed: '1', retrying: '1', dead: '1', archived: '2', deleted: '1' },
    estimated: [],
  })
  const [day] = await sql`select * from queue_worker.by_day where queue = 'email_queue'`
  expect(day).toMatchObject({
    ...{ succeeded: '3', failures: '1', dead: '1', success_percent: '75.00' },
    ...{ average_ran_ms: '120.0', longest_ran_ms: 300, average_waited_ms: '12.0' },
  })
  const [hour] = await sql`select * from queue_worker.by_hour where queue = 'email_queue'`
  expect(hour).toMatchObject({ succeeded: '3', failures: '1', dead: '1', succeeded_per_second: '0.001' })
  const errors =
    await sql`select queue, msg_id, delivery, outcome, error, worker_id from queue_worker.last_errors limit 2`
  expect(errors).toMatchObject([
    { msg_id: fifth?.msgId, outcome: 'retry', error: 'it failed', worker_id: 'worker-1' },
    { msg_id: fourth?.msgId, outcome: 'dead', error: 'it can never work' },
  ])
})

test('messages near their last attempt are named, until they are gone', async () => {
  await queue.send([
    { queue: 'reports', message: 'fails' },
    { queue: 'reports', message: 'works' },
  ])
  for (let round = 1; round <= 4; round++) {
    await expire('reports')
    const [failing] = await read('reports')
    await settle(failing, 'retry')
  }
  const near = () =>
    database.sql`select queue, msg_id, failures, last_error from queue_worker.near_last_attempt()`
  expect(await near()).toEqual([{ queue: 'reports', msg_id: '1', failures: '4', last_error: 'it failed' }])
  expect(await database.sql`select * from queue_worker.near_last_attempt(6)`).toEqual([])
  await expire('reports')
  for (const message of await read('reports')) await settle(message, 'archive')
  expect(await near()).toEqual([])
})

test('stuck messages are those in flight for too long and those interrupted too often', async () => {
  const { sql } = database
  const stuck = (longer: string) =>
    sql`select msg_id, delivery, in_flight_for > interval '5 minutes' as long, interruptions, failures
      from queue_worker.stuck_messages(${longer}::interval, 2) where queue = 'reports' order by msg_id`
  await queue.send(['lost', 'long', 'fine', 'waits'].map((message) => ({ queue: 'reports', message })))
  const [lost, long, fine] = await read('reports')
  await settle(lost, 'retry')
  await settle(fine, 'snooze')
  await expire('reports')
  await sql`select pgmq.set_vt('reports'::text, ${fine?.msgId ?? ''}::bigint, 900)`
  await sql`update pgmq.q_reports set vt = now() + interval '1 hour' where msg_id = ${long?.msgId ?? ''}`
  for (let round = 0; round < 2; round++) {
    await sql`update pgmq.q_reports set vt = now() where msg_id = ${lost?.msgId ?? ''}`
    await read('reports')
  }
  expect(await stuck('10 minutes'), 'twice delivered, of which the second is running').toEqual([])
  await sql`update pgmq.q_reports set last_read_at = now() - interval '11 minutes' where msg_id = ${long?.msgId ?? ''}`
  await sql`update pgmq.q_reports set vt = now() where msg_id = ${lost?.msgId ?? ''}`
  expect(await stuck('10 minutes')).toEqual([
    { msg_id: lost?.msgId, delivery: 3, long: null, interruptions: 2, failures: 1 },
    { msg_id: long?.msgId, delivery: 1, long: true, interruptions: 0, failures: 0 },
  ])
})

test('a role that is given a view and its table sees it, and one that is given the view alone does not', async () => {
  const { admin, name } = database
  const role = `dashboard_${name}`
  await admin.unsafe(
    `create role ${role}; grant usage on schema queue_worker to ${role}; grant select on queue_worker.by_day to ${role}`,
  )
  const asRole = () =>
    admin.begin(async (tx) => {
      await tx.unsafe(`set local role ${role}`)
      return tx`select * from queue_worker.by_day`
    })
  await expect(asRole()).rejects.toMatchObject({ code: '42501' })
  await admin.unsafe(`grant select on queue_worker.stats to ${role}`)
  expect((await asRole()).length).toBeGreaterThan(0)
  // Applying the files again leaves it what it was given.
  const files = await listMigrations()
  for (const { sql } of files) await database.sql.unsafe(sql).simple()
  expect((await asRole()).length).toBeGreaterThan(0)
  await admin.unsafe(`drop owned by ${role}; drop role ${role}`)
})
