/** Puts a worker together from settings: the one place where the command line's worker is composed. */
import { queueOverrides } from '../config.ts'
import type { Listener } from '../engine/events.ts'
import type { Worker } from '../engine/worker.ts'
import { createWorker } from '../library.ts'
import { configuredModule, configuredProcessors } from '../processors/configured.ts'
import type { QueueCounts } from '../queue/contract.ts'
import { createQueue } from '../queue/queue.ts'
import { createMetrics, type Metrics } from '../server/metrics.ts'
import { createLogger, type Logger } from '../utils/logger.ts'
import { packageVersion } from '../version.ts'
import type { Io } from './io.ts'
import { openTransport, type Setup } from './setup.ts'

export type Composed = {
  readonly worker: Worker
  readonly logger: Logger
  readonly queues: readonly string[]
  readonly metrics: Metrics
  /** What is in the worker's queues, while it runs. */
  counts(): Promise<readonly QueueCounts[]>
}

/** So many messages of a kind are counted one by one whenever somebody looks at metrics. */
const EXACT_UP_TO = 100_000

export async function composeWorker(
  setup: Setup,
  io: Io,
  listeners: readonly Listener[] = [],
  emailQueue?: string,
): Promise<Composed> {
  const { config, environment } = setup
  const connection = openTransport(config)
  const pretty = io.isTerminal && !config.production
  const logger = createLogger({ level: config.logLevel, pretty, secrets: config.secrets })
  const processors = await configuredProcessors(config, logger, emailQueue, connection.call)
  const queues = processors.map((processor) => processor.queue)
  const counts = () => createQueue(connection).counts(queues, EXACT_UP_TO)
  const metrics = createMetrics({ queues, version: packageVersion(), count: counts })
  const worker = createWorker({
    connection,
    processors,
    logger,
    listeners: [metrics.listener, ...listeners],
    settings: config.worker,
    queueDefaults: config.consumer,
    queueOverrides: Object.fromEntries(
      processors.map(({ queue, backoff }) => [queue, queueOverrides(config, queue, backoff)]),
    ),
    processorModules: [configuredModule],
    environment,
    secrets: config.secrets,
  })
  return { worker, logger, queues, metrics, counts }
}
