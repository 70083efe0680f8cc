/** From the commit of a message to the start of its processor, under light load. */
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { createWorker, defineProcessor } from '../queue-worker/src/library.ts'
import type { Kind, Setting } from './setting.ts'

/** Milliseconds, sorted. Counted from when the sender knows of its commit, so a start before that is 0. */
export async function latencies(
  setting: Setting,
  kind: Kind,
  messages: number,
  intervalMs: number,
): Promise<number[]> {
  const queue = await setting.fill(0)
  const committed = new Map<number, number>()
  const started = new Map<number, number>()
  const process = ({ n }: { n: number }) => void started.set(n, performance.now())
  const worker = createWorker({
    connection: setting.connect(kind),
    processors: [defineProcessor({ queue, payload: z.object({ n: z.number() }), process })],
    logger: 'silent',
  })
  await worker.start()
  for (let n = 0; n < messages; n += 1) {
    await setting.sql`select pgmq.send(${queue}::text, ${setting.sql.json({ n })}::jsonb)`
    committed.set(n, performance.now())
    await sleep(intervalMs)
  }
  while (started.size < messages) await sleep(10)
  await worker.stop('measured')
  return [...committed].map(([n, at]) => Math.max(0, (started.get(n) ?? 0) - at)).sort((a, b) => a - b)
}
