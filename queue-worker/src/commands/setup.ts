/** From the environment to settings and a connection, starting or joining the embedded stack where that is wanted. */
import { join } from 'node:path'
import { connectionSettings } from '../config/connection-settings.ts'
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
import { allQueuesVariables, connectionVariables, withoutSettings } from './stack-variables.ts'

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
  /** On the embedded stack: turn on the queues that nothing else is said about, each with what is harmless. */
  readonly allQueues?: boolean
  /** Variables of the command's own, over all others. */
  readonly extra?: Environment
  /** Variables of the command's own, where nothing else says anything. */
  readonly defaults?: Environment
}

export async function setUp(io: Io, options: SetupOptions = {}): Promise<Setup> {
  const all = readEnvironment(io.cwd)
  const own = options.embedded === 'always' ? withoutSettings(all) : all
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
  const more = options.allQueues ? allQueuesVariables(stack, directory, environment) : {}
  return withVariables(
    { config, environment, stack },
    { ...connectionVariables(stack, environment), ...more },
  )
}

/** The same with these variables over the others. */
export function withVariables(setup: Setup, variables: Environment): Setup {
  const environment = { ...setup.environment, ...variables }
  return { ...setup, config: loadConfig(environment), environment }
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
