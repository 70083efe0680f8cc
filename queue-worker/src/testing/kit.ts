/** A test kit for processors: the real worker, the real SQL, a database in memory, a clock that the test moves. */
import type { Sql } from 'postgres'
import type { ConsumerSettings } from '../engine/settings.ts'
import type { Worker } from '../engine/worker.ts'
import { type CreateWorkerOptions, createWorker } from '../library.ts'
import type { Processor } from '../processors/define.ts'
import type { SendOptions, SendResult, Transport } from '../queue/contract.ts'
import type { DeadLetter } from '../queue/operator.ts'
import { createQueue } from '../queue/queue.ts'
import { checkSend } from '../queue/sends.ts'
import { connectPostgres, openDatabase } from '../services/postgres.ts'
import { type Clock, createClock } from './clock.ts'
import { startDatabase } from './database.ts'
import { dying } from './dying.ts'
import { type Archived, createLook, type Waiting } from './look.ts'
import { createRecord, type Ran } from './ran.ts'

export type TestKitOptions = {
  readonly processors: readonly Processor[]
  /** Further queues, that processors send to, say. */
  readonly queues?: readonly string[]
  /** As for a worker. */
  readonly queueDefaults?: Partial<ConsumerSettings>
  readonly queueOverrides?: CreateWorkerOptions['queueOverrides']
  /** What the clock shows first; this moment if left out. */
  readonly now?: Date
  /** As for a worker; 'silent' if left out. */
  readonly logger?: CreateWorkerOptions['logger']
}

export type TestKit = {
  readonly clock: Clock
  send(queue: string, message: unknown, options?: SendOptions): Promise<SendResult>
  /**
   * Processes what is due until nothing is, and tells what ran. Rejects when that takes longer than `limitSeconds`
   * (30): a processor that hangs, or one whose message is due again at once each time.
   */
  drain(options?: { limitSeconds?: number }): Promise<readonly Ran[]>
  /**
   * As drain, but the worker dies before it can record how anything ended: what ran comes again when its visibility timeout has passed.
   * `during`: it dies in that step of `context.once`, after the effect and before that is recorded.
   */
  crash(options?: { during?: string; limitSeconds?: number }): Promise<readonly Ran[]>
  /** What is in the queue, due or not. */
  waiting(queue: string): Promise<Waiting[]>
  archived(queue: string): Promise<Archived[]>
  deadLetters(queue: string): Promise<DeadLetter[]>
  /** Sends the dead letters of the queue back into it. */
  redrive(queue: string, options?: { forgetUncertain?: boolean }): Promise<number>
  /** A handle of postgres.js on the kit's database: for tables of your own, and to look at what became of them. */
  readonly sql: Sql
  /** For `createProducer`; closing it closes nothing of the kit's. */
  readonly connection: Transport
  /** For whatever else is to connect to the kit's database. */
  readonly databaseUrl: string
  /** Empties all queues, archives and records. The clock stays, and so do tables of your own. */
  reset(): Promise<void>
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** @throws SetupError when the packages it needs are not installed, or the processors do not fit together. */
export async function createTestKit(options: TestKitOptions): Promise<TestKit> {
  const clock = createClock(options.now ?? new Date())
  const database = await startDatabase(clock)
  const { url } = database
  const pool = connectPostgres({ url, connections: 2 })
  const connection: Transport = { ...pool, close: async () => {} }
  const { sql } = openDatabase({ url })
  const queue = createQueue(connection)
  const look = createLook(sql)

  async function makeQueues(): Promise<void> {
    const names = [...options.processors.map((one) => one.queue), ...(options.queues ?? [])]
    for (const name of names) await queue.ensureQueue(name, { notify: false })
  }

  async function run(over: Transport, limitSeconds = 30): Promise<readonly Ran[]> {
    const { ran, listener } = createRecord()
    const worker = createWorker({
      connection: over,
      processors: options.processors,
      ...(options.queueDefaults ? { queueDefaults: options.queueDefaults } : {}),
      ...(options.queueOverrides ? { queueOverrides: options.queueOverrides } : {}),
      settings: { workerId: 'test-kit', pollIntervalMs: 10, notify: false },
      logger: options.logger ?? 'silent',
      listeners: [listener],
    })
    await untilEmpty(worker, limitSeconds)
    return ran
  }

  const kit: TestKit = {
    clock,
    sql,
    connection,
    databaseUrl: url,
    async send(name, message, how = {}) {
      const [sent] = await queue.send([checkSend({ ...how, queue: name, message })])
      if (sent === undefined) throw new Error('the database answered a send with nothing')
      return sent
    },
    drain: ({ limitSeconds } = {}) => run(connection, limitSeconds),
    crash: ({ during, limitSeconds } = {}) => run(dying(connection, during), limitSeconds),
    waiting: look.waiting,
    archived: look.archived,
    deadLetters: (name) => queue.deadLetters(name, { limit: 1000 }),
    redrive: async (name, how = {}) => (await queue.redrive(name, { limit: 1000, ...how })).length,
    async reset() {
      await look.reset()
      await makeQueues()
    },
    async close() {
      await Promise.all([pool.close(), sql.end()])
      await database.close()
    },
    [Symbol.asyncDispose]: () => kit.close(),
  }
  await makeQueues().catch(async (error: unknown) => {
    await kit.close()
    throw error
  })
  return kit
}

async function untilEmpty(worker: Worker, limitSeconds: number): Promise<void> {
  const limit = Promise.withResolvers<never>()
  const timer = setTimeout(() => {
    limit.reject(
      new Error(
        `the queues were not empty within ${limitSeconds} s: a processor hangs, or its message is due again at once each time`,
      ),
    )
  }, limitSeconds * 1000)
  try {
    await worker.start()
    await Promise.race([worker.drained(0), worker.done, limit.promise])
  } finally {
    clearTimeout(timer)
    await worker.stop('nothing is due', { hurry: true })
  }
}
