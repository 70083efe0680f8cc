/** What a worker answers over HTTP beside health and metrics. */
import type { Config } from '../config.ts'
import type { Processor } from '../processors/define.ts'
import type { Queue } from '../queue/contract.ts'
import { createSendBatches } from '../queue/send-batches.ts'
import { createBearer } from '../server/bearer.ts'
import { createEnqueueRoute } from '../server/enqueue.ts'
import type { Route } from '../server/route.ts'
import type { Logger } from '../utils/logger.ts'

export function workerRoutes(parts: {
  readonly config: Config
  readonly processors: readonly Processor[]
  readonly send: Queue['send']
  readonly logger: Logger
}): Route[] {
  const { config, processors, send, logger } = parts
  const { adminTokens } = config.http
  const onWrong = () => logger.warn('somebody shows wrong tokens to POST /api/queues/…; told once a minute')
  const bearer = adminTokens.length === 0 ? null : createBearer(adminTokens, onWrong)
  // So that many requests at once leave connections for the worker itself.
  const batches = createSendBatches(send)
  const enqueue = createEnqueueRoute({
    processors,
    bearer,
    logger,
    async send(sends) {
      const [first, ...others] = sends
      return first !== undefined && others.length === 0 ? [await batches.send(first)] : send(sends)
    },
  })
  return [enqueue]
}
