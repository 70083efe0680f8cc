/** Our worker, every safety on, with a processor that does nothing. */
import { z } from 'zod'
import { createWorker, defineProcessor, type Transport } from '../queue-worker/src/library.ts'
import type { Setting } from './setting.ts'

const payload = z.object({ n: z.number(), text: z.string() })

export type DrainOptions = {
  readonly messages: number
  readonly concurrency?: number
  readonly batchSize?: number
}

/** Messages per second, from the first read to the last archive. */
export async function drainWorker(
  setting: Setting,
  kind: Transport['kind'],
  options: DrainOptions,
): Promise<number> {
  const { messages, concurrency, batchSize } = options
  const queue = await setting.fill(messages)
  let runs = 0
  const processor = defineProcessor({
    queue,
    payload,
    process() {
      runs += 1
    },
  })
  const worker = createWorker({
    connection: setting.connect(kind),
    processors: [processor],
    queueDefaults: { ...(concurrency ? { concurrency } : {}), ...(batchSize ? { batchSize } : {}) },
    logger: 'silent',
  })
  const startedMs = performance.now()
  await worker.start()
  await worker.drained(0)
  const seconds = (performance.now() - startedMs) / 1000
  await worker.stop('drained')
  if (runs !== messages) throw new Error(`${runs} runs of ${messages} messages`)
  return messages / seconds
}
