/** A worker process of the soak: the real engine with the processors beside, and notes of what it was given and settled. */
import { fileURLToPath } from 'node:url'
import { createWorker } from '../queue-worker/src/library.ts'
import { loadProcessors } from '../queue-worker/src/processors/modules.ts'
import type { Message } from '../queue-worker/src/queue/message.ts'
import { connect } from '../queue-worker/src/services/connect.ts'
import { openJournal } from './journal.ts'
import { noting, STALL_MS } from './noting.ts'
import { readOrders } from './orders.ts'

const LOOK_MS = 200

const orders = readOrders()
const journal = openJournal(orders.journal, orders.life)
const { note } = journal
const module = fileURLToPath(new URL('processors.ts', import.meta.url))

const of = ({ queue, msgId, delivery }: Pick<Message, 'queue' | 'msgId' | 'delivery'>) => ({
  queue,
  msgId,
  delivery,
})

const worker = createWorker({
  connection: noting(connect(orders.connection), journal),
  processors: await loadProcessors([module]),
  processorModules: [module],
  settings: { workerId: orders.life, pollIntervalMs: 500, drainTimeoutMs: 1000 },
  logger: 'warn',
  listeners: [
    {
      leaseLost: ({ message }) => note({ what: 'lease_lost', ...of(message) }),
      isolated: ({ message }) => note({ what: 'isolated', ...of(message) }),
      settled: ({ receipt, kind, status }) =>
        note({ what: 'settled', ...of(receipt), outcome: kind, status }),
    },
  ],
})

let lookedAt = performance.now()
setInterval(() => {
  const late = performance.now() - lookedAt - LOOK_MS
  if (late > STALL_MS) note({ what: 'stall', ms: Math.round(late) })
  lookedAt = performance.now()
}, LOOK_MS).unref()

process.on('SIGTERM', () => {
  note({ what: 'stopping' })
  void worker.stop('SIGTERM')
})
// Without its starter nobody would end it.
process.on('disconnect', () => process.exit(0))
process.channel?.unref()
// From here on it hears what it is asked.
note({ what: 'born', pid: process.pid })
await worker.start()
process.send?.('ready')
await worker.done
