/** The child process in which suspects run alone: one message at a time, told by its parent. See engine/isolation.ts. */
import { randomUUID } from 'node:crypto'
import { Worker } from 'node:worker_threads'
import { abortReason, type FromChild, plainError, type ToChild } from './engine/child.ts'
import { Run } from './engine/context.ts'
import { createExecute, type Ending } from './engine/execute.ts'
import { createLeases, type Lease } from './engine/leases.ts'
import type { ConsumerSettings } from './engine/settings.ts'
import { coerceError, SetupError } from './errors.ts'
import type { Processor } from './processors/define.ts'
import { loadProcessors } from './processors/modules.ts'
import type { Queue } from './queue/contract.ts'
import { createQueue } from './queue/queue.ts'
import { connect } from './services/connect.ts'
import { createLogger, type Logger } from './utils/logger.ts'
import { createRedactor } from './utils/redact.ts'
import { createTracing, type Tracing } from './utils/tracing.ts'

type Ready = {
  readonly queue: Queue
  readonly processors: readonly Processor[]
  readonly workerId: string
  readonly logger: Logger
  readonly tracing: Tracing | null
}

const instance = randomUUID()
let ready: Ready | null = null
/** Of what runs now. Here it has no deadline: the parent keeps the hold, and kills this process if it is lost and nobody here listens. */
let lease: Lease | undefined
const leases = createLeases(() => {})

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
      tracing: createTracing(createRedactor(message.logging.secrets).text),
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
    lease?.cancellation.abort(abortReason(message))
  } else {
    lease = leases.hold(message.message, Number.POSITIVE_INFINITY, 0)
    const held = lease
    const { error, ...ending } = await run(held, message.settings, ready).finally(() => leases.drop(held))
    tell({ type: 'ending', ...ending, ...(error ? { error: plainError(error) } : {}) })
  }
}

async function run(held: Lease, settings: ConsumerSettings, parts: Ready | null): Promise<Ending> {
  const { message } = held
  const processor = parts?.processors.find((one) => one.queue === message.queue)
  if (parts === null || processor === undefined) {
    throw new Error(`the modules given for suspects have no processor for queue ${message.queue}`)
  }
  const checkHeld = () => held.cancellation.throwIfAborted()
  const one = new Run(held, settings, { ...parts, instance, checkHeld })
  const execute = createExecute(processor, settings, () => performance.now(), parts.tracing)
  return new Promise<Ending>((resolve) => execute(message, one, resolve))
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
