/** Workers in a process of their own, whose processors use every way to say "later"; prints what happens as JSON. */
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { createWorker, defineProcessor, RetryAfterError, snooze } from '../../src/library.ts'
import type { ConnectionSettings } from '../../src/queue/contract.ts'
import { connect } from '../../src/services/connect.ts'

type Order = { readonly connection: ConnectionSettings; readonly queue: string }
const orders: readonly Order[] = JSON.parse(process.env.CLOCK_ORDERS ?? '[]')

function workerFor({ connection, queue }: Order) {
  const say = (what: object) => console.log(JSON.stringify({ queue, ...what }))
  const tried = new Set<number>()

  const processor = defineProcessor({
    queue,
    payload: z.object({ n: z.number(), how: z.string() }),
    visibilityTimeoutSeconds: 6,
    backoff: { baseSeconds: 0.5, maxSeconds: 1 },
    async process({ n, how }, { enqueuedAt, send, once, signal }) {
      say({ run: n })
      const isFirst = !tried.has(n)
      tried.add(n)
      if (how === 'snoozes' && isFirst) return snooze(1)
      if (how === 'asks to be retried' && isFirst) throw new RetryAfterError(1)
      if (how === 'fails' && isFirst) throw new Error('the first time it fails')
      if (how === 'outlives its visibility timeout') await sleep(7000, undefined, { signal })
      if (how === 'has an effect') await once('effect', () => say({ effect: n }))
      if (how === 'sends with a delay') send(queue, { n: n + 100, how: 'was delayed' }, { delaySeconds: 1 })
      if (how === 'sends for a time') {
        send(queue, { n: n + 100, how: 'had a time' }, { at: new Date(enqueuedAt.getTime() + 2000) })
      }
    },
  })

  return createWorker({
    connection: connect(connection),
    processors: [processor],
    settings: { workerId: `clock-${process.pid}`, pollIntervalMs: 500 },
    logger: 'silent',
    listeners: [
      {
        leaseLost: ({ message }) => say({ trouble: `the lease of ${message.msgId} was lost` }),
        returned: ({ message }) => say({ trouble: `${message.msgId} returned` }),
        connectionLost: ({ failure }) => say({ trouble: failure.message }),
        finished: ({ message, ranMs }) => say({ ranMs, waitedMs: message.waitedMs }),
      },
    ],
  })
}

const workers = orders.map(workerFor)
process.on('SIGTERM', () => {
  for (const worker of workers) void worker.stop('SIGTERM')
})
await Promise.all(workers.map((worker) => worker.start()))
console.log(JSON.stringify({ started: new Date().toISOString() }))
await Promise.all(workers.map((worker) => worker.done))
