/**
 * PostgreSQL itself, compiled to WebAssembly, in the memory of this process, with pgmq and our migrations: so what a test sees
 * is what the same SQL does in production. Only its time is not real: see clock.ts.
 */
import { SetupError } from '../errors.ts'
import { applyMigrations, listMigrations, type Migration } from '../services/migrations.ts'
import { openDatabase } from '../services/postgres.ts'
import type { Clock } from './clock.ts'
import { openDoor } from './door.ts'
import { savedDatabase } from './saved.ts'
import { statement } from './wire.ts'

export type MemoryDatabase = { readonly url: string; close(): Promise<void> }

/** What a Supabase project has before our migrations. */
const PROJECT = `
  create role anon nologin;
  create role authenticated nologin;
  create role service_role nologin bypassrls;
  create schema pgmq;
  create extension pgmq schema pgmq;`

/** Whatever SQL asks for the time by a function is told the clock's. Before anything else, as what is made later keeps what it found. */
const TIME = ['now', 'transaction_timestamp', 'statement_timestamp', 'clock_timestamp'].map(
  (name) => `
  alter function pg_catalog.${name}() rename to real_${name};
  create function pg_catalog.${name}() returns timestamptz language sql stable parallel safe
  return current_setting('queue_worker.test_clock')::timestamptz;`,
)
const OURS = `set allow_system_table_mods = on; ${TIME.join('')} reset allow_system_table_mods; ${PROJECT}`

/**
 * `keep` is where a prepared database is looked for first.
 * @throws SetupError when the packages it needs are not installed.
 */
export async function startDatabase(clock: Clock, keep = savedDatabase): Promise<MemoryDatabase> {
  const { PGlite, pgmq } = await load()
  const migrations = await listMigrations()
  const saved = await keep([OURS, ...migrations.map(({ checksum }) => checksum)])
  const found = await saved.load()
  const loaded =
    found && (await PGlite.create({ extensions: { pgmq }, loadDataDir: found }).catch(() => null))
  const db = loaded ?? (await PGlite.create({ extensions: { pgmq } }))
  let shown = ''
  async function showTime(): Promise<void> {
    const time = clock.now().toISOString()
    if (time === shown) return
    await db.execProtocolRaw(statement(`set queue_worker.test_clock = '${time}'`))
    shown = time
  }
  await showTime()
  if (loaded === null) await db.exec(OURS)
  const version = await db.query<{ server_version: string }>('show server_version')
  const door = await openDoor({
    serverVersion: version.rows[0]?.server_version ?? '',
    prepare: showTime,
    exec: (messages) => db.execProtocolRaw(messages),
  })
  const url = `postgresql://postgres@127.0.0.1:${door.port}/postgres?sslmode=disable`
  if (loaded === null) {
    await migrate(url, migrations)
    await saved.save(await db.dumpDataDir('gzip'))
  }
  return {
    url,
    async close() {
      await door.close()
      await db.close()
    },
  }
}

async function migrate(url: string, migrations: readonly Migration[]): Promise<void> {
  const { sql } = openDatabase({ url })
  try {
    await applyMigrations(sql, migrations)
  } finally {
    await sql.end()
  }
}

async function load() {
  try {
    const { PGlite } = await import('@electric-sql/pglite')
    const { pgmq } = await import('@electric-sql/pglite-pgmq')
    return { PGlite, pgmq }
  } catch (error) {
    throw new SetupError(
      'the test kit needs the optional packages @electric-sql/pglite and @electric-sql/pglite-pgmq, which are not installed',
      'Install with optional packages: npm install --include=optional',
      { cause: error },
    )
  }
}
