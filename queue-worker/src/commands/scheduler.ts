/** `scheduler`: sends what schedules ask for, without processing anything, until told to stop. */
import { createScheduler } from '../library.ts'
import { createMetrics } from '../server/metrics.ts'
import { createLogger } from '../utils/logger.ts'
import { packageVersion } from '../version.ts'
import type { ExitCode, Io } from './io.ts'
import { pruneBy } from './prune.ts'
import { openTransport, setUp } from './setup.ts'
import { serve } from './work.ts'

export async function scheduler(io: Io): Promise<ExitCode> {
  const setup = await setUp(io)
  const { config } = setup
  return serve(io, setup, async () => {
    const pretty = io.isTerminal && !config.production
    const logger = createLogger({ level: config.logLevel, pretty, secrets: config.secrets })
    const { pollMs } = config.scheduler
    const { giveUpSeconds, workerId } = config.worker
    const connection = openTransport(config)
    const metrics = createMetrics({ queues: [], version: packageVersion() })
    const worker = createScheduler({
      listeners: [metrics.listener],
      ...{ connection, settings: { pollMs, giveUpSeconds, workerId }, logger, prune: pruneBy(config) },
    })
    return { worker, logger, queues: [], metrics }
  })
}
