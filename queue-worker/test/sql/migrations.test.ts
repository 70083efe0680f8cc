/** The SQL files as files: applied to a fresh database, again, changed, at once, copied, beside another way. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import postgres from 'postgres'
import { afterEach, beforeEach, expect, inject, test } from 'vitest'
import { emailPayload } from '../../src/processors/email-payload.ts'
import {
  applyMigrations,
  copyMigrations,
  listMigrations,
  type Migration,
} from '../../src/services/migrations.ts'
import { createDatabase, type TestDatabase } from '../support/databases.ts'

let database: TestDatabase
beforeEach(async () => {
  database = await createDatabase(inject('stack'))
})
afterEach(() => database.dispose())

/** Everything our files make, with definitions, owners and grants: what "the same result" means. */
async function catalog() {
  const { admin } = database
  return {
    functions:
      await admin`select p.oid::regprocedure::text as name, pg_get_functiondef(p.oid) as definition, p.proacl::text as grants,
        p.proowner::regrole::text as owner, obj_description(p.oid) as comment
      from pg_proc p where p.pronamespace = 'queue_worker'::regnamespace
        or p.pronamespace = 'public'::regnamespace and p.proname ~ '^(queue_worker|pgmq_metrics)' order by 1`,
    columns:
      await admin`select c.relname, a.attname, format_type(a.atttypid, a.atttypmod) as type, a.attnotnull, c.relacl::text as grants
      from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
      where c.relnamespace = 'queue_worker'::regnamespace order by 1, a.attnum`,
    constraints:
      await admin`select conrelid::regclass::text as relation, conname, pg_get_constraintdef(oid) as definition from pg_constraint
      where connamespace = 'queue_worker'::regnamespace order by 1, 2`,
    schema: await admin`select nspacl::text as grants from pg_namespace where nspname = 'queue_worker'`,
  }
}

const changed = (file: Migration, added: string): Migration => ({
  ...file,
  sql: `${file.sql}\n${added}`,
  checksum: `x${file.checksum}`,
})

test('the files make a working queue in a fresh database for a role that is no superuser', async () => {
  const [who] = await database.sql`select rolsuper from pg_roles where rolname = current_user`
  expect(who).toEqual({ rolsuper: false })
  const files = await listMigrations()
  expect(await applyMigrations(database.sql, files)).toEqual(files.map(({ name }) => name))
  await database.sql`select queue_worker.ensure_queue('email_queue', true)`
  const [sent] =
    await database.sql`select public.queue_worker_send('{"protocol": 1, "sends": [{"queue": "email_queue", "message": {"to": "a"}}]}') as answer`
  expect(sent?.answer).toEqual([{ msg_id: '1', duplicate: false }])
})

test('the seed makes the e-mail queue and puts a mail into it that its processor takes', async () => {
  await applyMigrations(database.sql, await listMigrations())
  await database.sql.file(new URL('../../../supabase/seed.sql', import.meta.url).pathname).simple()
  const [row] = await database.sql`select message from pgmq.email_queue`
  expect(emailPayload({ maxAttachmentBytes: 1000 }).safeParse(row?.message).error).toBeUndefined()
  expect(row).toBeDefined()
})

test('applying all files again, by any means, changes nothing and loses nothing', async () => {
  const files = await listMigrations()
  await applyMigrations(database.sql, files)
  await database.sql`select queue_worker.ensure_queue('email_queue', false)`
  await database.sql`select queue_worker.set_paused('email_queue', true)`
  const before = await catalog()
  expect(await applyMigrations(database.sql, files)).toEqual([])
  // As the Supabase CLI would, one after the other, and from a session with an unusual search path.
  const other = postgres(database.url, {
    max: 1,
    onnotice: () => {},
    connection: { search_path: 'queue_worker, pgmq' },
  })
  for (const file of files) await other.unsafe(file.sql).simple()
  await other.end()
  expect(await catalog()).toEqual(before)
  expect(await database.sql`select queue, paused from queue_worker.queues`).toEqual([
    { queue: 'email_queue', paused: true },
  ])
})

test('files that were applied by the Supabase CLI are taken over by migrate', async () => {
  const files = await listMigrations()
  for (const file of files) await database.sql.unsafe(file.sql).simple()
  expect(await applyMigrations(database.sql, files)).toHaveLength(files.length)
  expect(await applyMigrations(database.sql, files)).toEqual([])
})

test('a changed file is applied again, and the grants with it', async () => {
  const files = await listMigrations()
  await applyMigrations(database.sql, files)
  const [first, ...rest] = files
  if (!first) return expect.fail()
  const next = [
    changed(first, 'create function queue_worker.added() returns int language sql as $$ select 1 $$;'),
    ...rest,
  ]
  expect(await applyMigrations(database.sql, next)).toEqual([first.name, files.at(-1)?.name])
  const [grants] =
    await database.sql`select has_function_privilege('public', 'queue_worker.added()', 'execute') as everybody`
  expect(grants).toEqual({ everybody: false })
  expect(await applyMigrations(database.sql, next)).toEqual([])
})

test('a file that fails leaves the database as it was', async () => {
  const files = await listMigrations()
  await applyMigrations(database.sql, files)
  const before = await catalog()
  const [first, second, ...rest] = files
  if (!first || !second) return expect.fail()
  const broken = [
    changed(first, 'create table queue_worker.half ();'),
    changed(second, 'select 1 / 0;'),
    ...rest,
  ]
  await expect(applyMigrations(database.sql, broken)).rejects.toMatchObject({ code: '22012' })
  expect(await catalog()).toEqual(before)
  expect(await applyMigrations(database.sql, files)).toEqual([])
})

test('several that migrate at once wait for each other, and one does the work', async () => {
  const files = await listMigrations()
  const applied = await Promise.all([1, 2, 3].map(() => applyMigrations(database.sql, files)))
  expect(applied.map(({ length }) => length).toSorted((a, b) => a - b)).toEqual([0, 0, files.length])
})

test('an older program does not put its older functions over newer ones', async () => {
  const files = await listMigrations()
  const newer = { name: '29990101000100_queue_worker_future.sql', path: '', sql: 'select 1;', checksum: 'f' }
  await applyMigrations(database.sql, [...files, newer])
  const [first, ...rest] = files
  if (!first) return expect.fail()
  await expect(applyMigrations(database.sql, [changed(first, ''), ...rest])).rejects.toMatchObject({
    name: 'SetupError',
    message: expect.stringContaining(newer.name),
  })
})

test('the files are copied into a project as they are', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'queue-worker-test-'))
  try {
    const files = await listMigrations()
    const written = await copyMigrations(files, join(directory, 'supabase', 'migrations'))
    expect(written).toHaveLength(files.length)
    for (const [i, path] of written.entries()) expect(await readFile(path, 'utf8')).toBe(files[i]?.sql)
    expect(await listMigrations(join(directory, 'supabase', 'migrations'))).toMatchObject(
      files.map(({ name, checksum }) => ({ name, checksum })),
    )
    await copyMigrations(files, join(directory, 'supabase', 'migrations'))
  } finally {
    await rm(directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 })
  }
})

test('each file says what it does, and none is longer than 200 lines or names a type that pgmq drops', async () => {
  for (const { name, sql } of await listMigrations()) {
    expect(sql, name).toMatch(/^-- queue-worker, \d+: /)
    expect(sql.split('\n').length, name).toBeLessThanOrEqual(201)
    expect(sql, name).not.toMatch(/message_record|metrics_result|queue_record/)
    expect(sql, name).not.toMatch(/extension[^;]* version /i)
  }
})

test('a role that may not create in schema pgmq is told what to do', async () => {
  await database.admin.unsafe('create schema pgmq; create extension pgmq with schema pgmq').simple()
  await expect(applyMigrations(database.sql, await listMigrations())).rejects.toMatchObject({
    message: expect.stringContaining('may not create queues in schema pgmq'),
    hint: expect.stringContaining('Run the migration as the role that owns schema pgmq'),
  })
})
