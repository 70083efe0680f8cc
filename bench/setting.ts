/** What all workloads run in: a fresh embedded stack with our migrations, and ways to fill a queue. */
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Sql } from 'postgres'
import { startStack } from '../queue-worker/src/embedded/stack.ts'
import type { Transport } from '../queue-worker/src/library.ts'
import { connectPostgres, connectSupabase } from '../queue-worker/src/library.ts'
import { applyMigrations, listMigrations } from '../queue-worker/src/services/migrations.ts'
import { openDatabase } from '../queue-worker/src/services/postgres.ts'

export type Setting = {
  readonly sql: Sql
  connect(kind: Transport['kind']): Transport
  /** A new queue with so many messages of about 300 bytes. */
  fill(messages: number): Promise<string>
  close(): Promise<void>
}

export async function createSetting(): Promise<Setting> {
  const directory = await mkdtemp(join(tmpdir(), 'queue-worker-bench-'))
  await chmod(directory, 0o755) // as root, PostgreSQL runs as another user
  const stack = await startStack({ directory, ports: { gateway: 0, postgres: 0, smtp: 0 }, log: () => {} })
  const { sql } = openDatabase({ url: stack.databaseUrl, connections: 4 })
  await applyMigrations(sql, await listMigrations())
  let queues = 0
  return {
    sql,
    connect: (kind) =>
      kind === 'rpc'
        ? connectSupabase({ url: stack.url, key: stack.secretKey })
        : connectPostgres({ url: stack.databaseUrl }),
    async fill(messages) {
      queues += 1
      const queue = `bench_${queues}`
      await sql`select queue_worker.ensure_queue(${queue}, true)`
      await sql`
        select pgmq.send_batch(${queue}::text, array_agg(jsonb_build_object('n', n, 'text', repeat('x', 270))))
        from generate_series(1, ${messages}::int) n having count(*) > 0`
      await sql`vacuum analyze ${sql(`pgmq.q_${queue}`)}`
      await sql`checkpoint`.catch(() => {})
      return queue
    },
    async close() {
      await sql.end()
      await stack.stop()
      await rm(directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 })
    },
  }
}
