/** From the environment to settings and a connection, starting the embedded stack where that is wanted. */
import { join } from 'node:path'
import { type Config, type Environment, loadConfig, readEnvironment } from '../config.ts'
import { type Stack, startStack } from '../embedded/stack.ts'
import { ConnectionFailure, SetupError } from '../errors.ts'
import type { ConnectionSettings, Transport } from '../queue/contract.ts'
import { createQueue } from '../queue/queue.ts'
import { connect } from '../services/connect.ts'
import { applyMigrations, listMigrations } from '../services/migrations.ts'
import { openDatabase } from '../services/postgres.ts'
import { sleep } from '../utils/sleep.ts'
import type { Io } from './io.ts'

const SCHEMA_RELOAD_MS = 10_000

export type Setup = {
  readonly config: Config
  /** What the settings were read from, with what the embedded stack adds. */
  readonly environment: Environment
  readonly stack: Stack | null
}

export type SetupOptions = {
  /** when-unset: use the embedded stack if no connection is configured. always: whatever is configured. */
  readonly embedded?: 'when-unset' | 'always'
  /** Variables of the command's own, over all others. */
  readonly extra?: Environment
}

export async function setUp(io: Io, options: SetupOptions = {}): Promise<Setup> {
  const given =
    options.embedded === 'always' ? embeddedOnly(readEnvironment(io.cwd)) : readEnvironment(io.cwd)
  const environment = { ...given, ...options.extra }
  const config = loadConfig(environment)
  for (const warning of config.warnings) io.err(`warning: ${warning}`)
  const wantsStack =
    config.transport === 'embedded' ||
    (config.transport === undefined && options.embedded !== undefined && !config.production)
  if (!wantsStack) return { config, environment, stack: null }
  const stack = await openStack(io)
  const joined = { ...environment, ...stackVariables(stack, environment) }
  return { config: loadConfig(joined), environment: joined, stack }
}

/** Starts or joins the stack of this folder, with our migrations applied. */
export async function openStack(io: Io): Promise<Stack> {
  const stack = await startStack({ directory: join(io.cwd, '.queue-worker'), log: io.err })
  const { sql } = openDatabase({ url: stack.databaseUrl, connections: 1 })
  try {
    const applied = await applyMigrations(sql, await listMigrations())
    if (applied.length > 0) await untilServed(stack)
    return stack
  } catch (error) {
    await stack.stop()
    throw error
  } finally {
    await sql.end()
  }
}

/** PostgREST learns of new functions a moment after they were made. */
async function untilServed(stack: Stack): Promise<void> {
  const queue = createQueue(connect({ kind: 'rpc', url: stack.url, key: stack.secretKey }))
  const giveUpMs = performance.now() + SCHEMA_RELOAD_MS
  try {
    for (;;) {
      try {
        await queue.status()
        return
      } catch (error) {
        const isEarly = error instanceof ConnectionFailure && error.kind === 'missing_migration'
        if (!isEarly || performance.now() > giveUpMs) throw error
        await sleep(25)
      }
    }
  } finally {
    await queue.close()
  }
}

/** @throws SetupError that names what to set. */
export function openTransport(config: Config): Transport {
  return connect(connectionSettings(config))
}

function connectionSettings(config: Config): ConnectionSettings {
  const { transport, supabase, database, connection } = config
  const { caFile, preferIpv4, poolSize: connections, connectTimeoutMs } = connection
  if (transport === 'rpc' && supabase !== undefined) return { kind: 'rpc', ...supabase, caFile, preferIpv4 }
  if (transport === 'postgres' && database !== undefined) {
    return { kind: 'postgres', ...database, caFile, preferIpv4, connections, connectTimeoutMs }
  }
  throw new SetupError(
    'no connection is configured',
    'Set SUPABASE_URL and SUPABASE_SECRET_KEY (Supabase: Settings > API Keys), or DATABASE_URL, in the environment or in ' +
      '.env; .env.example explains all settings. To try it without a database: npm run demo',
  )
}

/** The stack as a project would be configured: over its API, mail through its mail server. */
function stackVariables(stack: Stack, environment: Environment): Environment {
  const mail =
    environment.SMTP_HOST === undefined
      ? {
          SMTP_HOST: stack.smtp.host,
          SMTP_PORT: String(stack.smtp.port),
          SMTP_USER: stack.smtp.user,
          SMTP_PASS: stack.smtp.pass,
          SMTP_FROM: environment.SMTP_FROM ?? 'Queue Worker <worker@example.com>',
        }
      : {}
  return {
    QUEUE_TRANSPORT: 'rpc',
    SUPABASE_URL: stack.url,
    SUPABASE_SECRET_KEY: stack.secretKey,
    DATABASE_URL: stack.databaseUrl,
    ...mail,
  }
}

/** Without anything that leads to a real project or a real mail server. */
function embeddedOnly(environment: Environment): Environment {
  const elsewhere =
    /^(SUPABASE_|DATABASE_|PG[A-Z]|DB_|SMTP_|FROM_EMAIL$|QUEUES$|PROCESSORS$|QUEUE_TRANSPORT$|NODE_ENV$)/
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !elsewhere.test(name)))
}
