/** docs/schedules.md, README.md and supabase/seed.sql show SQL: it is run from there, but for that of pg_cron, which is not here. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, inject, test } from 'vitest'
import { parseCron } from '../../src/scheduler/cron.ts'
import { applyMigrations, listMigrations } from '../../src/services/migrations.ts'
import { projectRoot } from '../support/cli.ts'
import { createDatabase, type TestDatabase } from '../support/databases.ts'

let database: TestDatabase
beforeEach(async () => {
  database = await createDatabase(inject('stack'))
  await applyMigrations(database.sql, await listMigrations())
  for (const queue of ['email_queue', 'reports'])
    await database.sql`select queue_worker.ensure_queue(${queue}, false)`
})
afterEach(() => database.dispose())

const textOf = (path: string) => readFileSync(join(projectRoot, path), 'utf8')
const blocksOf = (text: string) => [...text.matchAll(/^```sql\n([\s\S]*?)^```$/gm)].map(([, sql = '']) => sql)

test('the SQL of docs/schedules.md works', async () => {
  const blocks = blocksOf(textOf('docs/schedules.md'))
  expect(blocks.length).toBeGreaterThan(3)
  for (const block of blocks) await database.sql.unsafe(block).simple()
  const waiting =
    await database.sql`select vt > now() as hidden, message ->> 'subject' as subject from pgmq.email_queue order by msg_id`
  expect(waiting).toEqual([
    { hidden: true, subject: 'Today!' },
    { hidden: true, subject: 'Hello' },
    { hidden: true, subject: 'Reminder' },
  ])
})

test('the schedules of README.md and of the seed are such as a scheduler takes', async () => {
  const [block] = blocksOf(textOf('README.md')).filter((sql) => sql.includes('queue_worker.schedules'))
  await database.sql.unsafe(block ?? expect.fail('there is none')).simple()
  await database.sql.unsafe(textOf('supabase/seed.sql')).simple()
  const rows = await database.sql`select name, cron, timezone from queue_worker.schedules order by name`
  expect(rows.map(({ name }) => name)).toEqual(['weekly', 'weekly-hello'])
  for (const { cron, timezone } of rows) expect(parseCron(cron, timezone).next(new Date())).not.toBeNull()
})
