import { cp, mkdir, readdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import postgres from 'postgres'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { type Cli, endAll, folder, freePort, projectRoot, removeFolder, start } from '../support/cli.ts'
import { processesIn } from '../support/processes.ts'
import { until } from '../support/worker.ts'

/** A copy of the project, so that a changed file disturbs nobody. */
let cwd = ''
beforeAll(async () => {
  cwd = await folder('queue-worker-dev-')
  for (const path of ['package.json', 'scripts', 'queue-worker/src', 'supabase', 'templates']) {
    await cp(join(projectRoot, path), join(cwd, path), { recursive: true })
  }
  await symlink(join(projectRoot, 'node_modules'), join(cwd, 'node_modules'))
  // As if it had been built, which `dev` does not need.
  await mkdir(join(cwd, 'dist'))
  await writeFile(join(cwd, 'dist/index.js'), '')
})
afterEach(endAll)
afterAll(() => removeFolder(cwd))

const READS = /reads email_queue/
const starts = (dev: Cli) => dev.text().split(READS).length - 1
/** The processes that run our entry, without npm and the watcher. */
const workers = () =>
  processesIn(cwd).filter(
    ({ command }) =>
      /^\S*node /.test(command) && /index\.ts dev/.test(command) && !/--watch-path/.test(command),
  )
/** PostgreSQL, PostgREST and what watches over them; the sessions of PostgreSQL come and go. */
const servers = () => processesIn(cwd).filter(({ command }) => /postgrest|postgres -D/.test(command)).length

test('npm run dev processes what SQL sends, answers the queries of A10, and restarts on a change', async () => {
  const dev = start(['run', 'dev'], { cwd, env: { PORT: String(await freePort()) }, command: ['npm'] })
  await dev.says(READS)
  const databaseUrl = /psql "([^"]+)"/.exec(dev.text())?.[1] ?? ''
  const sql = postgres(databaseUrl, { max: 1, onnotice: () => {} })
  const mails = () => readdir(join(cwd, '.queue-worker/mail'))
  const send = () =>
    sql`select pgmq.send('email_queue', '{"to": "you@example.com", "subject": "Hi", "text": "Hello"}')`

  await send()
  await until('it is archived', async () => (await sql`select from pgmq.a_email_queue`).length === 1)
  expect(await mails()).toHaveLength(1)

  await sql`select pgmq.send('email_queue', '{"to": "later@example.com", "subject": "Hi", "text": "Hello"}', 3600)`
  const metrics =
    await sql`SELECT queue_length, newest_msg_age_sec, oldest_msg_age_sec, total_messages FROM pgmq_metrics('email_queue')`
  expect(metrics.map(({ queue_length, total_messages }) => [queue_length, total_messages])).toEqual([
    ['1', '2'],
  ])
  const queues = await sql`SELECT * FROM pgmq.list_queues()`
  expect(queues.map(({ queue_name }) => queue_name).sort()).toEqual(['email_queue', 'email_queue_dlq'])
  const newest = await sql`SELECT * FROM pgmq.email_queue ORDER BY enqueued_at DESC LIMIT 5`
  expect(newest.map(({ message }) => message.to)).toEqual(['later@example.com'])
  await sql.end()

  const [first] = workers()
  const serversBefore = servers()
  expect(workers(), JSON.stringify(processesIn(cwd))).toHaveLength(1)
  await writeFile(join(cwd, 'queue-worker/src/version.ts'), '\n// changed\n', { flag: 'a' })
  await until('it has restarted', () => starts(dev) === 2, 60_000)
  expect(workers()).toHaveLength(1)
  expect(workers()[0]?.pid).not.toBe(first?.pid)
  expect(servers()).toBe(serversBefore)

  dev.interrupt()
  await dev.ended
  await until('nothing is left', () => processesIn(cwd).length === 0)
})
