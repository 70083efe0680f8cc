/** What every process test needs: a queue, a journal, worker processes, and a look at what became of the messages. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import postgres from 'postgres'
import { expect } from 'vitest'
import type { Transport } from '../../src/library.ts'
import { createQueue } from '../../src/queue/queue.ts'
import type { SharedStack } from '../support/global-stack.ts'
import { createInspector, uniqueQueue } from '../support/queues.ts'
import { openTransport } from '../support/transports.ts'
import { until } from '../support/worker.ts'
import { nextQueue, ORDERS, type Orders } from './fixtures/orders.ts'

const program = fileURLToPath(new URL('fixtures/program.ts', import.meta.url))

export type Line = {
  readonly name: string
  readonly n?: number
  readonly interruptions?: number
  readonly diedAlone?: number
  readonly running?: number
  readonly buffered?: number
}
export type Exit = { readonly code: number | null; readonly signal: NodeJS.Signals | null }
export type JournalRow = {
  readonly n: number
  readonly what: string
  readonly pid: number
  readonly process: string
}

export type WorkerProcess = {
  readonly pid: number
  readonly lines: readonly Line[]
  readonly errors: readonly string[]
  readonly exited: Promise<Exit>
  readonly isGone: boolean
  signal(name: NodeJS.Signals): void
  /** Waits for a line; fails when the process ends without it. */
  says(name: string): Promise<void>
}

export type Bench = Awaited<ReturnType<typeof openBench>>

export async function openBench(kind: Transport['kind'], stack: SharedStack) {
  const sql = postgres(stack.databaseUrl, { max: 4, onnotice: () => {} })
  const look = createInspector(sql)
  const queue = uniqueQueue('p')
  const table = `queue_worker_test.journal_${queue}`
  const transport = openTransport(kind, stack)
  const typed = createQueue(transport)
  const processes: WorkerProcess[] = []
  await sql.unsafe(`create schema if not exists queue_worker_test`).catch(() => {})
  await sql.unsafe(
    `create table ${table} (id bigserial primary key, n int not null, what text not null, pid int not null, process text not null)`,
  )
  await typed.ensureQueue(queue, { notify: kind === 'postgres' })
  let hasNext = false

  const count = async (statement: string) => Number((await sql.unsafe(statement))[0]?.count)

  return {
    sql,
    look,
    queue,
    typed,
    async send(messages: readonly object[]): Promise<void> {
      await sql`select pgmq.send_batch(${queue}::text, (select array_agg(m) from jsonb_array_elements(${sql.json(messages as never)}::jsonb) m))`
    },
    /** Makes the queue for what the processor sends. */
    async addNextQueue(): Promise<void> {
      await typed.ensureQueue(nextQueue(queue), { notify: false })
      hasNext = true
    },
    /** As if the worker of all `count` messages had disappeared twice. */
    async makeSuspects(count: number): Promise<void> {
      for (let time = 0; time < 2; time += 1) {
        const demand = { queue, limit: 500, visibilityTimeoutSeconds: 60 }
        expect((await typed.read([demand], 8_000_000)).messages).toHaveLength(count)
        await look.expire(queue)
      }
    },
    start(orders: Partial<Orders> = {}): WorkerProcess {
      const complete: Orders = {
        connection: transport.settings,
        queue,
        journal: { databaseUrl: stack.databaseUrl, table },
        concurrency: 10,
        visibilityTimeoutSeconds: 30,
        ...orders,
      }
      const started = startProgram(complete)
      processes.push(started)
      return started
    },
    journal: (what?: string): Promise<JournalRow[]> =>
      sql.unsafe(
        `select n, what, pid, process from ${table} ${what ? `where what = '${what}'` : ''} order by id`,
      ) as unknown as Promise<JournalRow[]>,
    journalCount: (what: string) => count(`select count(*) from ${table} where what = '${what}'`),
    archivedCount: () => count(`select count(*) from pgmq.a_${queue}`),
    waitingCount: () => count(`select count(*) from pgmq.q_${queue}`),
    /** The numbers of messages that were read and have no end yet. */
    async inFlight(): Promise<Set<number>> {
      const rows = await sql.unsafe(
        `select (message ->> 'n')::int as n from pgmq.q_${queue} where read_ct > 0`,
      )
      return new Set(rows.map((row) => Number(row.n)))
    },
    async close(): Promise<void> {
      for (const one of processes) if (!one.isGone) one.signal('SIGKILL')
      await Promise.all(processes.map((one) => one.exited))
      await typed.close()
      await look.drop(queue)
      if (hasNext) await look.drop(nextQueue(queue))
      await sql.unsafe(`drop table ${table}`)
      await sql.end()
    },
  }
}

function startProgram(orders: Orders): WorkerProcess {
  const child = spawn(process.execPath, [program], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, [ORDERS]: JSON.stringify(orders), NODE_NO_WARNINGS: '1' },
  })
  const lines: Line[] = []
  const errors: string[] = []
  collect(child, lines, errors)
  const isGone = () => child.exitCode !== null || child.signalCode !== null
  const exited = once(child, 'close').then(
    ([code, signal]): Exit => ({ code: code as number | null, signal: signal as NodeJS.Signals | null }),
  )
  return {
    pid: child.pid ?? 0,
    lines,
    errors,
    exited,
    get isGone() {
      return isGone()
    },
    signal: (name) => void child.kill(name),
    says: (name) =>
      until(`the process says ${name}`, () => {
        if (lines.some((line) => line.name === name)) return true
        if (isGone()) throw new Error(`it ended without saying ${name}: ${errors.join('\n')}`)
        return false
      }),
  }
}

function collect(child: ChildProcess, lines: Line[], errors: string[]): void {
  if (child.stdout)
    createInterface({ input: child.stdout }).on('line', (line) => lines.push(JSON.parse(line)))
  if (child.stderr) createInterface({ input: child.stderr }).on('line', (line) => errors.push(line))
}
