/**
 * How much memory a report of many rows needs: `node bench/reports.ts [rows]`. Starts the embedded stack, then for each
 * transport and format a process of its own that makes the report with the product's processor, and tells its peak.
 */
import { execFile } from 'node:child_process'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { pino } from 'pino'
import { startStack } from '../queue-worker/src/embedded/stack.ts'
import type { ProcessorContext } from '../queue-worker/src/processors/define.ts'
import { reportsProcessor } from '../queue-worker/src/processors/reports.ts'
import type { ConnectionSettings } from '../queue-worker/src/queue/contract.ts'
import { connect } from '../queue-worker/src/services/connect.ts'
import { createFileFolder } from '../queue-worker/src/services/file-folder.ts'
import { applyMigrations, listMigrations } from '../queue-worker/src/services/migrations.ts'
import { openDatabase } from '../queue-worker/src/services/postgres.ts'

const LIMIT_MB = 200

type Order = { connection: ConnectionSettings; format: string; folder: string; rows: number }

async function measure(): Promise<void> {
  const rows = Number(process.argv[2] ?? 1_000_000)
  const directory = await mkdtemp(join(tmpdir(), 'queue-worker-bench-reports-'))
  const stack = await startStack({
    directory: join(directory, 'stack'),
    ports: { gateway: 0, postgres: 0, smtp: 0 },
    log: () => {},
  })
  try {
    await prepare(stack.databaseUrl)
    const connections: ConnectionSettings[] = [
      { kind: 'postgres', url: stack.databaseUrl, connections: 2 },
      { kind: 'rpc', url: stack.url, key: stack.secretKey },
    ]
    for (const connection of connections) {
      for (const format of ['csv', 'xlsx', 'json']) {
        const order: Order = { connection, format, folder: join(directory, 'files'), rows }
        const args = [fileURLToPath(import.meta.url), '--make', JSON.stringify(order)]
        // Not synchronously: the stack's gateway is in this process.
        const { stdout } = await promisify(execFile)(process.execPath, args)
        const { peakMb, seconds, bytes } = JSON.parse(stdout)
        const verdict = peakMb <= LIMIT_MB ? 'ok' : `more than ${LIMIT_MB} MB`
        console.log(
          `${connection.kind.padEnd(8)} ${format.padEnd(4)} ${rows} rows  ${peakMb} MB  ${seconds} s  ${Math.round(bytes / 1e6)} MB file  ${verdict}`,
        )
        if (peakMb > LIMIT_MB) process.exitCode = 1
      }
    }
  } finally {
    await stack.stop()
    await rm(directory, { recursive: true, force: true })
  }
}

async function prepare(url: string): Promise<void> {
  const { sql } = openDatabase({ url })
  await applyMigrations(sql, await listMigrations())
  await sql.unsafe(`create or replace function reports.bench(n int)
    returns table (id bigint, at timestamptz, customer text, amount numeric, paid boolean, note text) language sql as $$
      select g, now() + g * interval '1 second', 'Customer ' || g % 1000, (g % 100000) / 100.0, g % 3 = 0, repeat('note ', g % 10)
      from generate_series(1, n) g $$;
    notify pgrst, 'reload schema'`)
  await sql.end()
  await new Promise((resolve) => setTimeout(resolve, 2000))
}

async function make({ connection, format, folder, rows }: Order): Promise<void> {
  const processor = reportsProcessor({
    transport: connect(connection),
    storage: createFileFolder(folder),
    timeZone: 'UTC',
    statementTimeoutMs: 600_000,
    csv: { bom: true, delimiter: ',' },
    attachBytes: 0,
    linkSeconds: 60,
  })
  const originKey = `${connection.kind}-${format}`
  const started = performance.now()
  const context: Partial<ProcessorContext> = {
    originKey,
    signal: new AbortController().signal,
    logger: pino({ level: 'silent' }),
  }
  const payload = await processor.payload.parseAsync({ report: 'bench', params: { n: rows }, format })
  await processor.process(payload, context as ProcessorContext)
  const seconds = Math.round((performance.now() - started) / 100) / 10
  await processor.close?.()
  const { createHash } = await import('node:crypto')
  const key = createHash('sha256').update(originKey).digest('hex').slice(0, 32)
  const { size } = await stat(join(folder, `bench-${key}.${format}`))
  // The kernel's figure for the whole process, threads and all, in kilobytes.
  const peakMb = Math.round(process.resourceUsage().maxRSS / 1024)
  console.log(JSON.stringify({ peakMb, seconds, bytes: size }))
}

const order = process.argv[2] === '--make' ? process.argv[3] : undefined
await (order === undefined ? measure() : make(JSON.parse(order)))
