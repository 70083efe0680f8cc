/** What all workloads run in: a fresh embedded stack with our migrations, and ways to fill a queue. */
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createClient, type SupabaseClient } from '@supabase/supabase-js'
import type { Sql } from 'postgres'
import { startStack } from '../queue-worker/src/embedded/stack.ts'
import type { ConnectionSettings } from '../queue-worker/src/queue/contract.ts'
import { connect } from '../queue-worker/src/services/connect.ts'
import { applyMigrations, listMigrations } from '../queue-worker/src/services/migrations.ts'
import { openDatabase } from '../queue-worker/src/services/postgres.ts'

export type Kind = 'postgres' | 'rpc'

export type Setting = {
  readonly sql: Sql
  /** For the floor over REST: the same client as ours, and bare functions around pgmq's. */
  readonly rest: SupabaseClient
  settings(kind: Kind): ConnectionSettings
  connect(kind: Kind): ReturnType<typeof connect>
  /** A new queue with so many messages of about `bytes`, hidden for `delaySeconds`. */
  fill(messages: number, options?: { bytes?: number; delaySeconds?: number; queue?: string }): Promise<string>
  close(): Promise<void>
}

const BARE_FUNCTIONS = `
  create function public.bench_read(queue text, vt int, qty int) returns table (msg_id text, message jsonb)
    language sql security definer as 'select m.msg_id::text, m.message from pgmq.read(queue, vt, qty) m';
  create function public.bench_archive(queue text, msg_ids bigint[]) returns bigint
    language sql security definer as 'select count(*) from pgmq.archive(queue, msg_ids)';
  notify pgrst, 'reload schema';`

export async function createSetting(): Promise<Setting> {
  const directory = await mkdtemp(join(tmpdir(), 'queue-worker-bench-'))
  await chmod(directory, 0o755) // as root, PostgreSQL runs as another user
  const stack = await startStack({ directory, ports: { gateway: 0, postgres: 0, smtp: 0 }, log: () => {} })
  const { sql } = openDatabase({ url: stack.databaseUrl, connections: 4 })
  await applyMigrations(sql, await listMigrations())
  await sql.unsafe(BARE_FUNCTIONS).simple()
  const rest = createClient(stack.url, stack.secretKey, { accessToken: async () => stack.secretKey })
  const settings = (kind: Kind): ConnectionSettings =>
    kind === 'rpc' ? { kind, url: stack.url, key: stack.secretKey } : { kind, url: stack.databaseUrl }
  let queues = 0
  return {
    sql,
    rest,
    settings,
    connect: (kind) => connect(settings(kind)),
    async fill(messages, { bytes = 300, delaySeconds = 0, queue = `bench_${++queues}` } = {}) {
      await sql`select queue_worker.ensure_queue(${queue}, true)`
      for (let done = 0; done < messages; done += 50_000) {
        await sql`
          select count(*) from pgmq.send_batch(${queue}::text, (
            select array_agg(jsonb_build_object('n', n, 'text', repeat('x', ${bytes - 30}::int)))
            from generate_series(1, ${Math.min(50_000, messages - done)}::int) n), ${delaySeconds}::int)`
      }
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
