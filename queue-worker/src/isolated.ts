/** The child process in which suspects run alone: one message at a time, told by its parent. See engine/isolation.ts. */
import { randomUUID } from 'node:crypto'
import { createRun } from './engine/context.ts'
import { execute } from './engine/execute.ts'
import type { FromChild, ToChild } from './engine/isolation.ts'
import { coerceError, SetupError } from './errors.ts'
import type { Processor } from './processors/define.ts'
import { loadProcessors } from './processors/modules.ts'
import type { Queue } from './queue/contract.ts'
import { createQueue } from './queue/queue.ts'
import { connect } from './services/connect.ts'
import { createLogger, type Logger } from './utils/logger.ts'

type Ready = {
  readonly queue: Queue
  readonly processors: readonly Processor[]
  readonly workerId: string
  readonly logger: Logger
}

const instance = randomUUID()
let ready: Ready | null = null
let controller = new AbortController()

function tell(message: FromChild): void {
  process.send?.(message)
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
    controller.abort(message.error)
  } else {
    controller = new AbortController()
    tell({ type: 'ending', ...(await run(message, ready, controller.signal)) })
  }
}

async function run(
  { message, settings }: Extract<ToChild, { type: 'run' }>,
  parts: Ready | null,
  signal: AbortSignal,
) {
  const processor = parts?.processors.find((one) => one.queue === message.queue)
  if (parts === null || processor === undefined) {
    throw new Error(`the modules given for suspects have no processor for queue ${message.queue}`)
  }
  const context = createRun(message, settings, signal, { ...parts, instance })
  return execute(processor, message, settings, context, () => performance.now()).ended
}

process.on('message', (message: ToChild) => {
  handle(message).catch((thrown: unknown) => tell({ type: 'failed', error: coerceError(thrown) }))
})
// Without its parent there is nobody to report to, and the message comes back by itself.
process.on('disconnect', () => process.exit(0))
// The parent decides when to stop; a terminal's Ctrl-C reaches the whole group.
process.on('SIGINT', () => {})
process.on('SIGTERM', () => {})
