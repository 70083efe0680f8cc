/** For tests of the engine in this process: queues, workers and messages of a test file, cleaned up after it. */
import postgres from 'postgres'
import { afterAll, afterEach, beforeAll, inject } from 'vitest'
import { z } from 'zod'
import { connectPostgres, connectSupabase, type Processor, type Transport } from '../../src/library.ts'
import type { Queue } from '../../src/queue/contract.ts'
import { createQueue } from '../../src/queue/queue.ts'
import { startProxy } from './proxy.ts'
import { createInspector, type Inspector, uniqueQueue } from './queues.ts'
import { openTransport } from './transports.ts'
import { type TestWorker, type TestWorkerOptions, testWorker } from './worker.ts'

export const payload = z.object({
  n: z.number(),
  mode: z.string().default('ok'),
  filler: z.string().optional(),
})

export type Proxy = Awaited<ReturnType<typeof startProxy>>

export function engineBench(kind: Transport['kind']) {
  let sql: postgres.Sql
  let look: Inspector
  let typed: Queue
  let workers: TestWorker[] = []
  let proxies: Proxy[] = []
  const queues: string[] = []

  beforeAll(() => {
    sql = postgres(inject('stack').databaseUrl, { max: 2, onnotice: () => {} })
    look = createInspector(sql)
    typed = createQueue(openTransport(kind, inject('stack')))
  })
  afterEach(async () => {
    await Promise.all(workers.map((worker) => worker.stop('the test is over', { hurry: true })))
    await Promise.all(proxies.map((proxy) => proxy.stop()))
    workers = []
    proxies = []
  })
  afterAll(async () => {
    for (const queue of queues) await look.drop(queue)
    await typed.close()
    await sql.end()
  })

  return {
    get sql() {
      return sql
    },
    get look() {
      return look
    },
    get typed() {
      return typed
    },
    async newQueue(): Promise<string> {
      const queue = uniqueQueue()
      queues.push(queue)
      await typed.ensureQueue(queue, { notify: kind === 'postgres' })
      return queue
    },
    async start(processors: Processor[], options?: TestWorkerOptions): Promise<TestWorker> {
      const worker = testWorker(kind, processors, options)
      workers.push(worker)
      await worker.start()
      return worker
    },
    async send(queue: string, messages: object[]): Promise<void> {
      await sql`select pgmq.send_batch(${queue}::text, (select array_agg(m) from jsonb_array_elements(${sql.json(messages as never)}::jsonb) m))`
    },
    archived: async (queue: string) => (await look.archived(queue)).length,
    /** A connection that the test can cut. */
    async cuttable(): Promise<{ connection: Transport; down(): void; up(): void }> {
      const stack = inject('stack')
      const url = new URL(kind === 'rpc' ? stack.url : stack.databaseUrl)
      const proxy = await startProxy({ targetPort: Number(url.port) })
      proxies.push(proxy)
      url.hostname = '127.0.0.1'
      url.port = String(proxy.port)
      return {
        connection:
          kind === 'rpc'
            ? connectSupabase({ url: url.origin, key: stack.secretKey })
            : connectPostgres({ url: url.href }),
        down() {
          proxy.set('hang-up')
          proxy.cut()
        },
        up: () => proxy.set('pass'),
      }
    },
    /** A connection that counts its calls by entry point. */
    counted(connection = openTransport(kind, inject('stack'))) {
      const calls: string[] = []
      const counting: Transport = {
        ...connection,
        call(entryPoint, request) {
          calls.push(entryPoint)
          return connection.call(entryPoint, request)
        },
      }
      const reads = () => calls.filter((name) => name === 'read' || name === 'exchange').length
      return { connection: counting, reads, calls }
    },
  }
}
