/** Puts a worker together from settings: the one place where the command line's worker is composed. */
import { queueOverrides } from '../config.ts'
import type { Listener } from '../engine/events.ts'
import type { Worker } from '../engine/worker.ts'
import { createWorker } from '../library.ts'
import { configuredModule, configuredProcessors } from '../processors/configured.ts'
import type { Processor } from '../processors/define.ts'
import type { Queue } from '../queue/contract.ts'
import type { QueueOverview } from '../queue/operator.ts'
import { createQueue } from '../queue/queue.ts'
import { createMetrics, type Metrics } from '../server/metrics.ts'
import { createLogger, type Logger } from '../utils/logger.ts'
import { packageVersion } from '../version.ts'
import type { Io } from './io.ts'
import { pruneBy } from './prune.ts'
import { openTransport, type Setup } from './setup.ts'

export type Composed = {
  readonly worker: Worker
  /** Another worker like it, with connections and processors of its own, for when it has stopped. */
  reopen(): Promise<Worker>
  readonly processors: readonly Processor[]
  readonly logger: Logger
  readonly queues: readonly string[]
  readonly metrics: Metrics
  /** Over the connection of the worker, while it runs. */
  readonly send: Queue['send']
  ask<T>(question: (queue: Queue) => Promise<T>): Promise<T>
  /** Its queues at one glance, while it runs. */
  overview(): Promise<readonly QueueOverview[]>
}

export type ComposeOptions = {
  readonly listeners?: readonly Listener[]
  /** Put before the names of the queues. */
  readonly queuePrefix?: string
  /** Whether it sends what schedules ask for, where the settings do not say otherwise. */
  readonly scheduler?: boolean
}

export async function composeWorker(setup: Setup, io: Io, options: ComposeOptions = {}): Promise<Composed> {
  const { config, environment } = setup
  const { listeners = [], queuePrefix = '', scheduler = false } = options
  const pretty = io.isTerminal && !config.production
  const logger = createLogger({ level: config.logLevel, pretty, secrets: config.secrets })
  let parts = await open()
  const { processors } = parts
  const queues = processors.map((processor) => processor.queue)
  const overview = () => parts.queue.overview(queues)
  const metrics = createMetrics({ queues, version: packageVersion(), overview })

  async function open() {
    const connection = openTransport(config)
    const database = connection.call
    const processors = await configuredProcessors(config, logger, { queuePrefix, database })
    return { connection, queue: createQueue(connection), processors }
  }

  function worker({ connection, processors }: typeof parts): Worker {
    return createWorker({
      connection,
      processors,
      logger,
      listeners: [metrics.listener, ...listeners],
      settings: config.worker,
      ...(scheduler && config.scheduler.isOn
        ? { scheduler: { pollMs: config.scheduler.pollMs, prune: pruneBy(config) } }
        : {}),
      queueDefaults: config.consumer,
      queueOverrides: Object.fromEntries(
        processors.map(({ queue, backoff }) => [queue, queueOverrides(config, queue, backoff)]),
      ),
      processorModules: [configuredModule],
      environment,
      secrets: config.secrets,
    })
  }

  return {
    ...{ worker: worker(parts), processors, logger, queues, metrics, overview },
    async reopen() {
      parts = await open()
      return worker(parts)
    },
    send: (sends) => parts.queue.send(sends),
    ask: (question) => question(parts.queue),
  }
}
