/** What tests of runbooks share: a stack, a person's session on it, and one worker over each transport. */
import postgres from 'postgres'
import { afterAll, afterEach } from 'vitest'
import type { Processor } from '../../src/library.ts'
import { faultBench } from './fault-bench.ts'
import { openTransport } from './transports.ts'
import { type TestWorker, testWorker } from './worker.ts'

export function runbookBench() {
  const bench = faultBench()
  const sessions: postgres.Sql[] = []
  let workers: TestWorker[] = []
  const stopWorkers = async () => {
    await Promise.all(workers.splice(0).map((worker) => worker.stop('a test stops it', { hurry: true })))
  }
  afterEach(stopWorkers)
  afterAll(() => Promise.all(sessions.map((sql) => sql.end({ timeout: 1 }))))

  return {
    get stack() {
      return bench.stack
    },
    get parts() {
      return bench.parts
    },
    get workers(): readonly TestWorker[] {
      return workers
    },
    /** One session as the role that people have, who is no superuser. */
    login(): postgres.Sql {
      const sql = postgres(bench.stack.databaseUrl, { max: 1, onnotice: () => {} })
      sessions.push(sql)
      return sql
    },
    /** Starts a worker over each transport, each with processors of its own. */
    async startWorkers(processors: () => readonly Processor[]): Promise<void> {
      workers = (['rpc', 'postgres'] as const).map((kind) =>
        testWorker(kind, processors(), { connection: openTransport(kind, bench.stack) }),
      )
      await Promise.all(workers.map((worker) => worker.start()))
    },
    stopWorkers,
    /** Whether each worker has found this many queues paused. */
    allPaused: (queues: number) =>
      workers.every(
        ({ events }) =>
          events.filter((event) => event.name === 'queueState' && event.status === 'paused').length ===
          queues,
      ),
  }
}
