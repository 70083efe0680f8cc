/** docs/runbooks.md, 2: releases of workers that are newer or older than the migration in the database. */
import postgres from 'postgres'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { applyMigrations, listMigrations } from '../../src/services/migrations.ts'
import { endAll, folder, removeFolder, run, start, writeProcessors } from '../support/cli.ts'
import { connectionEnv, KINDS, processorCode } from '../support/cli-env.ts'
import { faultBench } from '../support/fault-bench.ts'
import { createInspector } from '../support/queues.ts'
import { createRunbook, runbooksText } from '../support/runbook.ts'
import { until } from '../support/worker.ts'

const bench = faultBench()
const book = createRunbook('release')
let cwd = ''
let sql: postgres.Sql
let env: Record<string, string>

beforeAll(async () => {
  cwd = await folder()
  sql = postgres(bench.stack.databaseUrl, { max: 1, onnotice: () => {} })
  const one = processorCode('email_queue', '')
  env = { DATABASE_URL: bench.stack.databaseUrl, PROCESSORS: writeProcessors(cwd, { 'one.ts': one }) }
})
afterEach(endAll)
afterAll(async () => {
  await sql.end()
  await removeFolder(cwd)
})

const startWith = (kind: (typeof KINDS)[number]) =>
  start(['start'], { cwd, env: { ...env, DATABASE_URL: undefined, ...connectionEnv(kind, bench.stack) } })

/** As a release of protocol `n` would have left it: what follows is how this release gets along with that. */
const speaks = (n: number) => `
  create or replace function queue_worker.protocol() returns int
  language sql immutable set search_path = '' as 'select ${n}';`

async function versions() {
  const [row] = await book.run(sql, 'status')
  return row?.protocol
}

test('workers newer than the database refuse with the remedy, and start when it was followed', async () => {
  await sql.unsafe(speaks(1))
  await sql`update queue_worker.migrations set checksum = 'of an older release' where name like '%_foundation.sql'`
  const refused = await Promise.all(
    KINDS.map(async (kind) => {
      const cli = startWith(kind)
      return { kind, code: await cli.ended, err: cli.err(), text: cli.text() }
    }),
  )
  for (const { kind, code, err, text } of refused) {
    expect(code, `${kind}: ${text}`).toBe(3)
    expect(err, kind).toMatch(/this worker speaks protocol 2, the database only 1/)
    expect(err, kind).toMatch(/What to do: .*npx queue-worker migrate/)
  }
  expect(await sql`select queue from queue_worker.queues where queue = 'email_queue'`).toEqual([])

  const migrated = await run(['migrate'], { cwd, env })
  expect(migrated.code, migrated.text).toBe(0)
  expect(await versions()).toBe(2)
  await expect(book.run(sql, 'ask')).rejects.toMatchObject({
    code: 'QW001',
    hint: expect.stringContaining('npx queue-worker migrate'),
  })
  await bothWork(2)
})

test('workers older than the database go on working, and their migrate leaves it alone', async () => {
  const name = '99991231235959_queue_worker_next.sql'
  const next = `${speaks(3)}
    alter table queue_worker.outcomes add column if not exists trace jsonb default '{}';
    alter table queue_worker.queues add column if not exists weight int not null default 1;
    alter table queue_worker.workers add column if not exists region text;`
  await applyMigrations(sql, [...(await listMigrations()), { name, path: '', sql: next, checksum: 'next' }])
  const refused = await run(['migrate'], { cwd, env })
  expect([refused.code, refused.out]).toEqual([3, ''])
  expect(refused.err).toMatch(/the database was migrated by a newer queue-worker/)
  expect(await versions()).toBe(3)
  expect(await book.run(sql, 'ask'), 'workers of the newer release work as well').toHaveLength(1)
  await bothWork(2)

  // Somebody applies the older files by hand: the newer release's migrate sees it only when it has forgotten its records.
  const files = await listMigrations()
  for (const file of files) await sql.unsafe(file.sql).simple()
  const newer = [...files, { name, path: '', sql: next, checksum: 'next' }]
  expect([await versions(), await applyMigrations(sql, newer)]).toEqual([2, []])
  await book.run(sql, 'forget')
  expect(await applyMigrations(sql, newer)).toHaveLength(newer.length)
  expect(await versions()).toBe(3)
  await bothWork(2)
  expect(book.unused(), 'steps of the runbook that were not run').toEqual([])
})

test('the document names only commands that exist', async () => {
  const named = new Set(
    [...runbooksText().matchAll(/npx queue-worker ([a-z-]+)/g)].map(([, command]) => command),
  )
  expect(named.size).toBeGreaterThan(0)
  const { out } = await run(['--help'], { cwd })
  for (const command of named) expect(out).toMatch(new RegExp(`^  ${command}\\b`, 'm'))
})

/** A worker over each transport starts, shows in the registry, and does what is sent. */
async function bothWork(count: number): Promise<void> {
  const look = createInspector(sql)
  const clis = KINDS.map(startWith)
  await Promise.all(clis.map((cli) => cli.says(/reads email_queue/)))
  const before = (await look.archived('email_queue')).length
  for (let n = 0; n < count; n++) await sql`select pgmq.send('email_queue', '{}')`
  await until('all is done', async () => (await look.archived('email_queue')).length === before + count)
  expect(await look.messages('email_queue')).toEqual([])
  await until('both have told of themselves', async () => {
    const rows = await book.run(sql, 'workers')
    return rows.length === 1 && Number(rows[0]?.workers) === clis.length
  })
  for (const cli of clis) cli.signal('SIGTERM')
  expect(await Promise.all(clis.map((cli) => cli.ended))).toEqual(clis.map(() => 0))
  expect(await book.run(sql, 'workers')).toEqual([])
}
