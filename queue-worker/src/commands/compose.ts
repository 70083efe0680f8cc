/** Puts a worker together from settings: the one place where the command line's worker is composed. */
import { queueOverrides } from '../config.ts'
import type { Listener } from '../engine/events.ts'
import type { Worker } from '../engine/worker.ts'
import { createWorker } from '../library.ts'
import { configuredModule, configuredProcessors } from '../processors/configured.ts'
import type { QueueOverview } from '../queue/operator.ts'
import { createQueue } from '../queue/queue.ts'
import type { Told } from '../server/health.ts'
import { createMetrics } from '../server/metrics.ts'
import type { Route } from '../server/route.ts'
import { createLogger, type Logger } from '../utils/logger.ts'
import { packageVersion } from '../version.ts'
import type { Io } from './io.ts'
import { pruneBy } from './prune.ts'
import { workerRoutes } from './routes.ts'
import { openTransport, type Setup } from './setup.ts'

export type Composed = {
  readonly worker: Worker
  readonly logger: Logger
  readonly queues: readonly string[]
  readonly metrics: Told
  readonly routes: readonly Route[]
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
  const connection = openTransport(config)
  const pretty = io.isTerminal && !config.production
  const logger = createLogger({ level: config.logLevel, pretty, secrets: config.secrets })
  const processors = await configuredProcessors(config, logger, {
    queuePrefix,
    database: connection.call,
  })
  const queues = processors.map((processor) => processor.queue)
  const queue = createQueue(connection)
  const overview = () => queue.overview(queues)
  const metrics = createMetrics({ queues, version: packageVersion(), overview })
  const worker = createWorker({
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
  const told = {
    text: () => metrics.text(worker.health()),
    json: () => metrics.json(worker.health()),
  }
  const routes = workerRoutes({ config, processors, send: queue.send, logger })
  return { worker, logger, queues, metrics: told, routes, overview }
}
