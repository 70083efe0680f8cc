/** Puts a worker together from settings: the one place where the command line's worker is composed. */
import { queueOverrides } from '../config.ts'
import type { Listener } from '../engine/events.ts'
import type { Worker } from '../engine/worker.ts'
import { createWorker } from '../library.ts'
import { configuredModule, configuredProcessors } from '../processors/configured.ts'
import { createLogger, type Logger } from '../utils/logger.ts'
import type { Io } from './io.ts'
import { openTransport, type Setup } from './setup.ts'

export type Composed = {
  readonly worker: Worker
  readonly logger: Logger
  readonly queues: readonly string[]
}

export async function composeWorker(
  setup: Setup,
  io: Io,
  listeners: readonly Listener[] = [],
  emailQueue?: string,
  withScheduler = false,
): Promise<Composed> {
  const { config, environment } = setup
  const connection = openTransport(config)
  const pretty = io.isTerminal && !config.production
  const logger = createLogger({ level: config.logLevel, pretty, secrets: config.secrets })
  const processors = await configuredProcessors(config, logger, emailQueue, connection.call)
  const worker = createWorker({
    connection,
    processors,
    logger,
    listeners,
    settings: config.worker,
    ...(withScheduler && config.scheduler.isOn ? { scheduler: config.scheduler } : {}),
    queueDefaults: config.consumer,
    queueOverrides: Object.fromEntries(
      processors.map(({ queue, backoff }) => [queue, queueOverrides(config, queue, backoff)]),
    ),
    processorModules: [configuredModule],
    environment,
    secrets: config.secrets,
  })
  return { worker, logger, queues: processors.map((processor) => processor.queue) }
}
