/** Our worker, every safety on, with a processor that does nothing or waits. */
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { createWorker, defineProcessor, type Transport } from '../queue-worker/src/library.ts'

const payload = z.object({ n: z.number(), text: z.string() })

export type DrainOptions = {
  readonly connection: Transport
  readonly queue: string
  /** How many to run; there may be more. */
  readonly messages: number
  readonly concurrency?: number
  readonly batchSize?: number
  /** How long each takes. */
  readonly runMs?: number
}

/** Messages per second, from when the worker has connected (the floor has too) to the last run's recorded outcome. */
export async function drain(options: DrainOptions): Promise<number> {
  const { connection, queue, messages, concurrency, batchSize, runMs } = options
  const enough = Promise.withResolvers<void>()
  let settled = 0
  const processor = defineProcessor({
    queue,
    payload,
    process: () => (runMs === undefined ? undefined : sleep(runMs)),
  })
  const worker = createWorker({
    connection,
    processors: [processor],
    queueDefaults: { ...(concurrency ? { concurrency } : {}), ...(batchSize ? { batchSize } : {}) },
    logger: 'silent',
    listeners: [
      {
        settled({ status }) {
          if (status !== 'ok') enough.reject(new Error(`an outcome was ${status}`))
          settled += 1
          if (settled === messages) enough.resolve()
        },
      },
    ],
  })
  await worker.start()
  const startedMs = performance.now()
  const before = settled
  await enough.promise
  const seconds = (performance.now() - startedMs) / 1000
  await worker.stop('measured')
  return (messages - before) / seconds
}
