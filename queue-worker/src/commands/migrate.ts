/** `migrate`: puts our SQL into the database, or (`--copy`) into a project's own migrations folder. */
import { relative, resolve } from 'node:path'
import { loadConfig, readEnvironment } from '../config.ts'
import { coerceError, SetupError } from '../errors.ts'
import {
  applyMigrations,
  copyMigrations,
  listMigrations,
  type Migration,
  tablesInTheWay,
} from '../services/migrations.ts'
import { openDatabase } from '../services/postgres.ts'
import { EXIT, type ExitCode, type Io } from './io.ts'

/** So long a wait is worth a word. */
const PATIENCE_MS = 3000

export async function migrate(io: Io, options: { copy?: string }): Promise<ExitCode> {
  const migrations = await listMigrations()
  if (options.copy !== undefined) {
    const written = await copy(migrations, resolve(io.cwd, options.copy))
    for (const path of written.sort()) io.out(`wrote ${relative(io.cwd, path)}`)
    io.out('\nNow apply them the way your project applies its own, for example: npx supabase db push')
    return EXIT.ok
  }
  const config = loadConfig(readEnvironment(io.cwd))
  for (const warning of config.warnings) io.err(`warning: ${warning}`)
  if (config.database === undefined) {
    throw new SetupError(
      'migrate needs a direct connection, and DATABASE_URL is not set',
      'Set DATABASE_URL (Supabase: Connect > Session pooler) for this command, or write the files into your own project with ' +
        '`npx queue-worker migrate --copy supabase/migrations` and run `npx supabase db push`',
    )
  }
  const { caFile, connectTimeoutMs, preferIpv4 } = config.connection
  const { sql, classify } = openDatabase({
    ...config.database,
    caFile,
    connectTimeoutMs,
    preferIpv4,
    connections: 1,
  })
  let awaited = 'the database to answer'
  const patience = setTimeout(() => io.err(`Waiting for ${awaited} …`), PATIENCE_MS)
  try {
    await sql`select`
    awaited = 'another migration to end, or for what else holds the tables'
    const applied = await applyMigrations(sql, migrations)
    for (const name of applied) io.out(`applied ${name}`)
    for (const name of await tablesInTheWay(sql)) io.err(`warning: ${inTheWay(name)}`)
    io.out(applied.length === 0 ? 'The database is up to date.' : 'The database is ready for queue-worker.')
    return EXIT.ok
  } catch (error) {
    throw error instanceof SetupError ? error : classify(error)
  } finally {
    clearTimeout(patience)
    await sql.end({ timeout: 1 })
  }
}

function inTheWay(table: string): string {
  const [, name = ''] = table.split('.')
  return (
    `${table} is a table of yours, not of queue-worker. It was left as it is, but ${table === 'public.reports' ? 'reports' : 'payments'} cannot be worked on. ` +
    `What to do, if you want them: alter table ${table} rename to your_${name}; then run migrate again.`
  )
}

async function copy(migrations: readonly Migration[], directory: string): Promise<string[]> {
  try {
    return await copyMigrations(migrations, directory)
  } catch (error) {
    throw new SetupError(
      `the migrations cannot be written to ${directory}: ${coerceError(error).message}`,
      'Name a folder that this user may write to: npx queue-worker migrate --copy supabase/migrations',
      { cause: error },
    )
  }
}
