/** Applies our SQL files to a database and remembers which; copies them into a project's own migrations folder. */
import { createHash } from 'node:crypto'
import { copyFile, mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Sql, TransactionSql } from 'postgres'
import { SetupError } from '../errors.ts'

export type Migration = {
  readonly name: string
  readonly path: string
  readonly sql: string
  readonly checksum: string
}

/** Where the files lie, seen from the sources as well as from dist/. */
export function migrationsDirectory(): string {
  const up = import.meta.url.includes('/dist/') ? '../../supabase/migrations' : '../../../supabase/migrations'
  return fileURLToPath(new URL(up, import.meta.url))
}

export async function listMigrations(directory = migrationsDirectory()): Promise<Migration[]> {
  const names = (await readdir(directory)).filter((name) => /^\d{14}_queue_worker_.+\.sql$/.test(name)).sort()
  return Promise.all(
    names.map(async (name) => {
      const path = join(directory, name)
      const sql = await readFile(path, 'utf8')
      return { name, path, sql, checksum: createHash('sha256').update(sql).digest('hex') }
    }),
  )
}

/**
 * Applies what is new or changed, all or nothing, and returns the names. Two that run at once wait for each other.
 * The files can be applied again, so a changed one is, and all are where tables are missing that another's were in the
 * way of before; grants come last and are renewed with any other file.
 * @throws SetupError when a newer version of this program has migrated the database: its functions stay.
 */
export async function applyMigrations(sql: Sql, migrations: readonly Migration[]): Promise<string[]> {
  return sql.begin(async (tx) => {
    await tx`select pg_advisory_xact_lock(hashtext('queue_worker.migrate'))`
    const known = new Map<string, string>()
    const [table] = await tx`select to_regclass('queue_worker.migrations') is not null as exists`
    if (table?.exists === true) {
      for (const row of await tx`select name, checksum from queue_worker.migrations`)
        known.set(row.name, row.checksum)
    }
    const newest = migrations.at(-1)?.name ?? ''
    const newer = [...known.keys()].find((name) => name > newest)
    if (newer !== undefined) {
      throw new SetupError(
        `the database was migrated by a newer queue-worker: it has ${newer}`,
        'Run the newer version; it works with older workers too.',
      )
    }
    const changed = migrations.filter((file) => known.get(file.name) !== file.checksum)
    const pending = changed.length === 0 && (await lacksTables(tx)) ? migrations : changed
    if (pending.length === 0) return []
    const last = migrations.at(-1)
    const files = last === undefined || pending.includes(last) ? pending : [...pending, last]
    for (const file of files) await tx.unsafe(file.sql).simple()
    for (const file of files) {
      await tx`
        insert into queue_worker.migrations (name, checksum) values (${file.name}, ${file.checksum})
        on conflict (name) do update set checksum = excluded.checksum, applied_at = clock_timestamp()`
    }
    return files.map((file) => file.name)
  })
}

async function lacksTables(sql: TransactionSql): Promise<boolean> {
  const [row] = await sql`select queue_worker.lacks_tables() as lacks`
  return row?.lacks === true
}

/** Tables of somebody else by names of ours: ours were not made, and nothing that needs them can be used. */
export async function tablesInTheWay(sql: Sql): Promise<string[]> {
  const [row] = await sql<{ names: string[] }[]>`select queue_worker.tables_in_the_way() as names`
  return row?.names ?? []
}

/** Gives the rights anew, to those who should have them alone; tells what it did. */
export async function applyGrants(sql: Sql): Promise<string> {
  const grants = (await listMigrations()).at(-1)
  if (grants !== undefined) await sql.unsafe(grants.sql).simple()
  return 'gave the rights on our functions anew: to service_role and queue_worker alone'
}

/** Copies the files into a project's own migrations folder (created if missing); returns the paths written. */
export async function copyMigrations(migrations: readonly Migration[], directory: string): Promise<string[]> {
  await mkdir(directory, { recursive: true })
  return Promise.all(
    migrations.map(async (file) => {
      const target = join(directory, file.name)
      await copyFile(file.path, target)
      return target
    }),
  )
}
