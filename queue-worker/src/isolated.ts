/** The child process in which suspects run alone: one message at a time, told by its parent. See engine/isolation.ts. */
import { randomUUID } from 'node:crypto'
import { Worker } from 'node:worker_threads'
import { abortReason, type FromChild, plainError, type ToChild } from './engine/child.ts'
import { createRun } from './engine/context.ts'
import { createExecute } from './engine/execute.ts'
import { coerceError, SetupError } from './errors.ts'
import type { Processor } from './processors/define.ts'
import { loadProcessors } from './processors/modules.ts'
import type { Queue } from './queue/contract.ts'
import { createQueue } from './queue/queue.ts'
import { connect } from './services/connect.ts'
import { Cancellation } from './utils/cancellation.ts'
import { createLogger, type Logger } from './utils/logger.ts'

type Ready = {
  readonly queue: Queue
  readonly processors: readonly Processor[]
  readonly workerId: string
  readonly logger: Logger
}

const instance = randomUUID()
let ready: Ready | null = null
let cancellation = new Cancellation()

// The line to the parent is ours: what a processor says on it (`process.send('ready')`) would be taken for an answer.
const send = process.send?.bind(process)
Reflect.deleteProperty(process, 'send')

function tell(message: FromChild): void {
  send?.(message)
}

async function handle(message: ToChild): Promise<void> {
  if (message.type === 'start') {
    ready = {
      processors: await loadProcessors(message.modules),
      queue: createQueue(connect(message.connection)),
      workerId: message.workerId,
      logger: createLogger({ ...message.logging, pretty: false }),
    }
    const missing = message.queues.filter((queue) => !ready?.processors.some((one) => one.queue === queue))
    if (missing.length > 0) {
      throw new SetupError(
        `the modules given for suspects have no processor for ${missing.join(', ')}`,
        'Give createWorker the processorModules that export all its processors',
      )
    }
    tell({ type: 'ready' })
  } else if (message.type === 'abort') {
    cancellation.abort(abortReason(message))
  } else {
    cancellation = new Cancellation()
    const { error, ...ending } = await run(message, ready, cancellation)
    tell({ type: 'ending', ...ending, ...(error ? { error: plainError(error) } : {}) })
  }
}

async function run(
  { message, settings }: Extract<ToChild, { type: 'run' }>,
  parts: Ready | null,
  cancelled: Cancellation,
) {
  const processor = parts?.processors.find((one) => one.queue === message.queue)
  if (parts === null || processor === undefined) {
    throw new Error(`the modules given for suspects have no processor for queue ${message.queue}`)
  }
  // The parent keeps the lease, and kills this process if it is lost and nobody here listens.
  const hold = { check: () => cancelled.throwIfAborted(), settling() {} }
  const context = createRun(message, settings, cancelled, { ...parts, instance }, hold)
  return createExecute(processor, settings, () => performance.now())(message, context).ended
}

process.on('message', (message: ToChild) => {
  handle(message).catch((thrown: unknown) => tell({ type: 'failed', error: plainError(coerceError(thrown)) }))
})
/**
 * Without its parent there is nobody to report to, and the message comes back by itself. A processor in an endless
 * loop would not hear of it: a thread watches out for that.
 */
const watch = `
  const { workerData } = require('node:worker_threads')
  setInterval(() => process.ppid === workerData || process.kill(process.pid, 'SIGKILL'), 1000)
`
new Worker(watch, { eval: true, workerData: process.ppid }).unref()
process.on('disconnect', () => process.exit(0))
// The parent decides when to stop; a terminal's Ctrl-C reaches the whole group.
process.on('SIGINT', () => {})
process.on('SIGTERM', () => {})
