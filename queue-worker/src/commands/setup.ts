/** From the environment to settings and a connection, starting or joining the embedded stack where that is wanted. */
import { join } from 'node:path'
import { connectionSettings } from '../config/connection-settings.ts'
import { given } from '../config/gather.ts'
import { type Config, type Environment, loadConfig, readEnvironment } from '../config.ts'
import { joinStack, type Stack, startStack } from '../embedded/stack.ts'
import { ConnectionFailure } from '../errors.ts'
import type { Transport } from '../queue/contract.ts'
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
  /**
   * when-unset: use the embedded stack if no connection is configured. join: the same, but only one that already
   * runs in this folder; never start one. always: whatever is configured.
   */
  readonly embedded?: 'when-unset' | 'join' | 'always'
  /** Variables of the command's own, over all others. */
  readonly extra?: Environment
  /** Variables of the command's own, where nothing else says anything. */
  readonly defaults?: Environment
}

export async function setUp(io: Io, options: SetupOptions = {}): Promise<Setup> {
  const all = readEnvironment(io.cwd)
  const own = options.embedded === 'always' ? embeddedOnly(all) : all
  const environment = { ...options.defaults, ...own, ...options.extra }
  const config = loadConfig(environment)
  for (const warning of config.warnings) io.err(`warning: ${warning}`)
  const wantsStack =
    config.transport === 'embedded' ||
    (config.transport === undefined && options.embedded !== undefined && !config.production)
  if (!wantsStack) return { config, environment, stack: null }
  const directory = stackDirectory(io)
  const stack = options.embedded === 'join' ? await joinStack({ directory }) : await openStack(io)
  if (stack === null) return { config, environment, stack }
  const joined = { ...environment, ...stackVariables(stack, environment) }
  return { config: loadConfig(joined), environment: joined, stack }
}

function stackDirectory(io: Io): string {
  return join(io.cwd, '.queue-worker')
}

/** Starts or joins the stack of this folder, with our migrations applied. */
export async function openStack(io: Io): Promise<Stack> {
  const onStart = () =>
    io.err(
      'Starting PostgreSQL with pgmq, PostgREST and a mail server … (the first time takes a few seconds)',
    )
  const stack = await startStack({ directory: stackDirectory(io), log: io.err, onStart })
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

/** The stack as a project would be configured: over its API, mail through its mail server. */
function stackVariables(stack: Stack, environment: Environment): Environment {
  return {
    QUEUE_TRANSPORT: 'rpc',
    SUPABASE_URL: stack.url,
    SUPABASE_SECRET_KEY: stack.secretKey,
    DATABASE_URL: stack.databaseUrl,
    ...stackMail(stack.smtp, environment),
  }
}

/** The stack's mail server as variables; none where another mail server is configured. */
export function stackMail(smtp: Stack['smtp'], environment: Environment): Environment {
  if (given(environment, 'SMTP_HOST') !== undefined) return {}
  const from = given(environment, 'SMTP_FROM') ?? given(environment, 'FROM_EMAIL')
  return {
    SMTP_HOST: smtp.host,
    SMTP_PORT: String(smtp.port),
    SMTP_USER: smtp.user,
    SMTP_PASS: smtp.pass,
    SMTP_FROM: from ?? 'Queue Worker <worker@example.com>',
  }
}

/** Without anything that leads to a real project, a real mail server or real money. */
function embeddedOnly(environment: Environment): Environment {
  const elsewhere =
    /^(SUPABASE_|DATABASE_|PG[A-Z]|DB_|SMTP_|AMQP_|HTTP_CALLBACKS_|REPORTS_|PAYMENTS_PROVIDER$|STRIPE_|YOOKASSA_|FROM_EMAIL$|QUEUES$|PROCESSORS$|QUEUE_TRANSPORT$|NODE_ENV$)/
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !elsewhere.test(name)))
}
