/** What can be wrong inside the database. */
import { fileURLToPath } from 'node:url'
import postgres from 'postgres'
import { type DoctorBench, withQueues } from '../../support/doctor-bench.ts'
import { until } from '../../support/worker.ts'
import type { Case } from './case.ts'

/** As after a migration of which PostgREST was not told: a function made again while nobody tells it. */
async function staleCache({ stack, later }: DoctorBench): Promise<void> {
  const admin = postgres(stack.adminUrl, { max: 1, onnotice: () => {} })
  const triggers = ['pgrst_ddl_watch', 'pgrst_drop_watch']
  const [there, away] = ['queue_worker_status', 'queue_worker_status_away']
  const rename = (from: string, to: string) =>
    admin.unsafe(`alter function public.${from}(jsonb) rename to ${to}`)
  const reload = () => admin`notify pgrst, 'reload schema'`
  const ask = async () => {
    const answer = await fetch(`${stack.url}/rest/v1/rpc/${there}`, {
      method: 'POST',
      headers: { apikey: stack.secretKey, 'content-type': 'application/json' },
      body: '{"request": {"protocol": 1}}',
    })
    const said = JSON.parse(await answer.text())
    return { isKnown: answer.status === 200, isUnknown: said.code === 'PGRST202' }
  }
  const knows = async () => (await ask()).isKnown
  /** A reload that was asked for before may come after. */
  const staysUnknown = async () => {
    for (let looked = 0; looked < 50; looked += 1) if (!(await ask()).isUnknown) return false
    return true
  }
  for (const name of triggers) await admin.unsafe(`alter event trigger ${name} disable`)
  later(async () => {
    for (const name of triggers) await admin.unsafe(`alter event trigger ${name} enable`)
    await reload()
    await until('the API knows it again', knows)
    await admin.end()
  })
  await until('it is in the database, and the API does not know it', async () => {
    await rename(there, away)
    await reload()
    await until('the API does not know it', async () => (await ask()).isUnknown)
    await rename(away, there)
    return staysUnknown()
  })
}

const MIGRATE = /npx queue-worker migrate/

export const database: readonly Case[] = [
  {
    what: 'a missing migration',
    kind: 'postgres',
    breaks: (bench) => bench.database(async () => {}),
    finds: 'migration_missing',
    says: /functions of the queue worker are not there/,
    remedy: MIGRATE,
    fixed: {
      did: /applied \d+ files of SQL[\s\S]*created what was missing of queue orders/,
      leaves: ['no_worker'],
    },
  },
  {
    what: 'an old protocol',
    kind: 'postgres',
    breaks: (bench) =>
      bench.database(async (sql) => {
        await withQueues(sql)
        await sql.unsafe(`create or replace function queue_worker.protocol() returns int
          language sql immutable set search_path = '' as 'select 0'`)
        await sql`update queue_worker.migrations set checksum = 'of the older file' where name ~ 'foundation'`
      }),
    finds: 'migration_old',
    says: /protocol/,
    remedy: MIGRATE,
    fixed: { did: /applied \d+ files of SQL/, leaves: ['no_worker'] },
  },
  {
    what: 'SQL that has been mended since',
    kind: 'postgres',
    breaks: (bench) =>
      bench.database(async (sql) => {
        await withQueues(sql)
        await sql`update queue_worker.migrations set checksum = 'of the older file' where name ~ 'leases'`
      }),
    finds: 'migration_changed',
    also: ['no_worker'],
    says: /queue_worker_leases\.sql/,
    remedy: MIGRATE,
    fixed: { did: /applied \d+ files of SQL/, leaves: ['no_worker'] },
  },
  {
    what: 'a table of the project by the name of one of ours, which a processor needs',
    kind: 'postgres',
    async breaks(bench) {
      const url = await bench.database(async (sql) => {
        await sql`create table public.payments (id int)`
        await withQueues(sql)
        await sql`select queue_worker.ensure_queue('payments', true)`
      })
      return { ...url, PAYMENTS_PROVIDER: 'sandbox' }
    },
    finds: 'table_in_the_way',
    also: ['no_worker'],
    says: /not a table of queue-worker, and left as it is: public\.payments$/,
    remedy: /another name.*npx queue-worker migrate/,
  },
  {
    what: 'a newer migration',
    kind: 'postgres',
    breaks: (bench) =>
      bench.database(async (sql) => {
        await withQueues(sql)
        await sql.unsafe(`create or replace function queue_worker.migration() returns text
          language sql immutable set search_path = '' as $$ select '20991231000000' $$`)
      }),
    finds: 'migration_newer',
    also: ['no_worker'],
    says: /SQL of a newer version \(20991231000000; ours is \d{14}\)/,
    remedy: /Update this worker/,
  },
  {
    what: 'a stale schema cache',
    kind: 'rpc',
    async breaks(bench) {
      await staleCache(bench)
      return { DATABASE_URL: bench.stack.databaseUrl }
    },
    finds: 'schema_cache_stale',
    says: /does not know functions that are in the database/,
    remedy: /notify pgrst, 'reload schema'/,
    fixed: { did: /told the REST API to read the functions anew/ },
  },
  {
    what: 'a stale schema cache, and no way to look into the catalog',
    kind: 'rpc',
    async breaks(bench) {
      await staleCache(bench)
      return {}
    },
    finds: 'migration_missing',
    says: /functions of the queue worker are not there/,
    remedy: /npx queue-worker migrate.*notify pgrst, 'reload schema'/,
  },
  {
    what: 'a grant to anon',
    kind: 'rpc',
    async breaks({ sql, stack }) {
      await sql`grant execute on function public.queue_worker_send(jsonb) to anon`
      return { DATABASE_URL: stack.databaseUrl }
    },
    finds: 'grants_open',
    says: /^anon may use public\.queue_worker_send\(jsonb\)$/,
    remedy: /doctor --fix.*the last file of supabase\/migrations/,
    fixed: { did: /rights on our functions anew/ },
  },
  {
    what: 'the private schema opened to everybody',
    kind: 'postgres',
    async breaks({ sql }) {
      await sql`grant usage on schema queue_worker to authenticated`
      await sql`grant select on queue_worker.ledger to authenticated`
      return {}
    },
    finds: 'grants_open',
    says: /^authenticated may use queue_worker\.ledger, schema queue_worker$/,
    remedy: /doctor --fix.*the last file of supabase\/migrations/,
    fixed: { did: /rights on our functions anew/ },
  },
  {
    what: 'execute revoked from service_role',
    kind: 'rpc',
    async breaks({ sql, stack }) {
      await sql`revoke execute on function public.queue_worker_settle(jsonb) from service_role`
      return { DATABASE_URL: stack.databaseUrl }
    },
    finds: 'grants_missing',
    says: /^service_role may not call public\.queue_worker_settle\(jsonb\)$/,
    remedy: /doctor --fix.*the last file of supabase\/migrations/,
    fixed: { did: /rights on our functions anew/ },
  },
  {
    what: 'all rights revoked from service_role',
    kind: 'rpc',
    async breaks({ sql, stack }) {
      await sql`revoke execute on all functions in schema public from service_role`
      return { DATABASE_URL: stack.databaseUrl }
    },
    finds: 'rights_missing',
    says: /may not use the queue functions/,
    remedy: /the grants are missing/,
    fixed: { did: /rights on our functions anew/ },
  },
  {
    what: 'a clock that is two minutes slow',
    kind: 'postgres',
    breaks: () => ({ CLOCK_OFF_MS: '-120000' }),
    preload: fileURLToPath(new URL('../../faults/clock-shift.ts', import.meta.url)),
    finds: 'clock_skew',
    says: /is 1[12]\d s behind that of the database/,
    remedy: /NTP/,
  },
  {
    what: 'a session that is idle in a transaction',
    kind: 'rpc',
    async breaks({ stack, sql, later }) {
      const url = new URL(stack.databaseUrl)
      url.searchParams.set('application_name', 'forgetful')
      const session = await postgres(url.href, { max: 1 }).reserve()
      await session`begin`
      await session`select count(*) from pgmq.q_orders`
      later(async () => {
        await session`rollback`
        session.release()
      })
      await until('it is old', async () => {
        const [row] = await sql`select from pg_stat_activity where application_name = 'forgetful'
          and state = 'idle in transaction' and xact_start < clock_timestamp() - interval '11 seconds'`
        return row !== undefined
      })
      return {}
    },
    finds: 'idle_in_transaction',
    says: /^session \d+ of postgres \(forgetful\), open for \d+ s, is idle in a transaction$/,
    remedy: /select pg_terminate_backend\(\d+\);/,
  },
  {
    what: 'hardly any connections left',
    kind: 'rpc',
    async breaks({ stack, later }) {
      const crowd = postgres(stack.databaseUrl, { max: 84 })
      later(() => crowd.end({ timeout: 1 }))
      await Promise.all(Array.from({ length: 84 }, () => crowd`select pg_sleep(0.5)`))
      return {}
    },
    finds: 'connections_scarce',
    says: /^\d\d of 97 connections of the database are in use$/,
    remedy: /DATABASE_POOL_SIZE/,
  },
]
