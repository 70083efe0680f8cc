/** A healthy set-up for the doctor to be broken: a stack of its own, a live worker, a folder with all files. */
import { join } from 'node:path'
import postgres, { type Sql } from 'postgres'
import { afterAll, afterEach, beforeAll, expect } from 'vitest'
import { applyMigrations, listMigrations } from '../../src/services/migrations.ts'
import { type Cli, endAll, folder, removeFolder, start, writeProcessors } from './cli.ts'
import { connectionEnv, type Kind, processorCode } from './cli-env.ts'
import { createDatabase } from './databases.ts'
import { visit } from './doctor.ts'
import { startProxy } from './proxy.ts'
import { type TestStack, testStack } from './stack.ts'

export type DoctorBench = ReturnType<typeof doctorBench>
export type Variables = Record<string, string>

export function doctorBench() {
  const cleanUps: (() => unknown)[] = []
  let stack: TestStack
  let cwd = ''
  let sql: Sql
  let worker: Cli

  beforeAll(async () => {
    ;[stack, cwd] = await Promise.all([testStack(), folder('queue-worker-doctor-')])
    sql = postgres(stack.databaseUrl, { max: 2, onnotice: () => {} })
    await migrated(sql)
    writeProcessors(cwd, { 'one.ts': processorCode('orders', '') })
    worker = start(['worker'], { cwd, env: { ...env('postgres'), WORKER_ID: 'the-worker' } })
    await worker.says(/reads email_queue, orders|reads orders, email_queue/)
    // The files that belong beside it.
    const first = await visit(cwd, env('rpc'), ['--fix'])
    expect(first.problems, first.told).toEqual([])
  })
  afterEach(async () => {
    for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
  })
  afterAll(async () => {
    worker.signal('SIGTERM')
    await worker.ended
    await endAll()
    await sql.end()
    await removeFolder(cwd)
    await stack.dispose()
  })

  /** All that a worker of this set-up gets. */
  function env(kind: Kind): Variables {
    const { host, port, user, pass } = stack.smtp
    return {
      ...connectionEnv(kind, stack),
      PROCESSORS: join(cwd, 'processors'),
      ...{
        SMTP_HOST: host,
        SMTP_PORT: String(port),
        SMTP_USER: user,
        SMTP_PASS: pass,
        SMTP_FROM: 'a@example.com',
      },
    }
  }

  const later = (cleanUp: () => unknown) => void cleanUps.push(cleanUp)

  return {
    get stack() {
      return stack
    },
    get cwd() {
      return cwd
    },
    get sql() {
      return sql
    },
    env,
    /** Done after the test, the last one first. */
    later,
    /** The direct way in, changed. */
    elsewhere(change: (url: URL) => void): Variables {
      const url = new URL(stack.databaseUrl)
      change(url)
      return { DATABASE_URL: url.href }
    },
    /** A proxy before PostgreSQL, and the direct way in through it. */
    async through(
      options: Omit<Parameters<typeof startProxy>[0], 'targetPort'>,
      query = '',
    ): Promise<Variables> {
      const proxy = await startProxy({ targetPort: Number(new URL(stack.databaseUrl).port), ...options })
      later(proxy.stop)
      const url = new URL(stack.databaseUrl)
      url.host = `localhost:${proxy.port}`
      return { DATABASE_URL: url.href + query }
    },
    /** A database without any worker, in this state. */
    async database(change: (sql: Sql) => Promise<unknown>): Promise<Variables> {
      const database = await createDatabase(stack)
      later(() => database.dispose())
      await change(database.sql)
      return { DATABASE_URL: database.url }
    },
  }
}

export const migrated = async (sql: Sql) => applyMigrations(sql, await listMigrations())

/** The queues that a worker of this set-up would have made. */
export async function withQueues(sql: Sql): Promise<void> {
  await migrated(sql)
  for (const queue of ['orders', 'email_queue'])
    await sql`select queue_worker_ensure_queue(${sql.json({ protocol: 1, queue })})`
}
