/**
 * How much memory a report of many rows needs: `node bench/reports.ts [rows]` after `npm run build`. Starts the embedded stack,
 * then for each transport and format a worker of its own (the program as it is built) that makes the report, and tells its peak.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Sql } from 'postgres'
import { startStack } from '../queue-worker/src/embedded/stack.ts'
import { applyMigrations, listMigrations } from '../queue-worker/src/services/migrations.ts'
import { openDatabase } from '../queue-worker/src/services/postgres.ts'

/** What the product promises, for a million rows. */
const LIMIT_MB = 150

const rows = Number(process.argv[2] ?? 1_000_000)
const directory = await mkdtemp(join(tmpdir(), 'queue-worker-bench-reports-'))
const stack = await startStack({
  directory: join(directory, 'stack'),
  ports: { gateway: 0, postgres: 0, smtp: 0 },
  log: () => {},
})
const { sql } = openDatabase({ url: stack.databaseUrl })
try {
  await prepare()
  const ways = {
    postgres: { DATABASE_URL: stack.databaseUrl },
    rpc: { SUPABASE_URL: stack.url, SUPABASE_SECRET_KEY: stack.secretKey },
  }
  for (const [transport, connection] of Object.entries(ways)) {
    for (const format of ['csv', 'xlsx', 'json']) {
      const { seconds, bytes, peakMb } = await make(sql, connection, format)
      const verdict = peakMb <= LIMIT_MB ? 'ok' : `more than ${LIMIT_MB} MB`
      console.log(
        `${transport.padEnd(8)} ${format.padEnd(4)} ${rows} rows  ${Math.round(peakMb)} MB  ${seconds} s  ${Math.round(bytes / 1e6)} MB file  ${verdict}`,
      )
      if (peakMb > LIMIT_MB) process.exitCode = 1
    }
  }
} finally {
  await sql.end()
  await stack.stop()
  await rm(directory, { recursive: true, force: true })
}

async function prepare(): Promise<void> {
  await applyMigrations(sql, await listMigrations())
  await sql.unsafe(`create or replace function reports.bench(n int)
    returns table (id bigint, at timestamptz, customer text, amount numeric, paid boolean, note text) language sql as $$
      select g, now() + g * interval '1 second', 'Customer ' || g % 1000, (g % 100000) / 100.0, g % 3 = 0, repeat('note ', g % 10)
      from generate_series(1, n) g $$`)
  await sql`select queue_worker.ensure_queue('reports', false)`
  await sql`notify pgrst, 'reload schema'`
}

async function make(db: Sql, connection: Readonly<Record<string, string>>, format: string) {
  const message = { report: 'bench', params: { n: rows }, format }
  const worker = spawn(
    process.execPath,
    [fileURLToPath(new URL('../dist/index.js', import.meta.url)), 'worker'],
    {
      cwd: directory,
      env: { PATH: process.env.PATH, REPORTS_DIR: join(directory, 'files'), PORT: 'off', ...connection },
      stdio: ['ignore', 'ignore', 'inherit'],
    },
  )
  const exited = once(worker, 'exit')
  await db`select pgmq.send('reports', ${db.json(message)}::jsonb)`
  const done = await ended(db, worker)
  // The kernel's figure for the whole process, threads and all, in kilobytes.
  const status = await readFile(`/proc/${worker.pid}/status`, 'utf8')
  worker.kill('SIGTERM')
  await exited
  await db`delete from public.reports`
  return { ...done, peakMb: Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024 }
}

async function ended(db: Sql, worker: ChildProcess): Promise<{ seconds: number; bytes: number }> {
  for (;;) {
    const [row] = await db`select state, error, bytes::float8 as bytes,
      round(extract(epoch from finished_at - started_at), 1)::float8 as seconds from public.reports`
    if (row?.state === 'failed') throw new Error(`the report failed: ${row.error}`)
    if (row?.state === 'done') return { seconds: row.seconds, bytes: row.bytes }
    if (worker.exitCode !== null) throw new Error(`the worker ended with ${worker.exitCode}`)
    await sleep(200)
  }
}
