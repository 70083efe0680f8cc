/** What the variables say about the consumers of queues. */
import type { BackoffSettings } from '../engine/backoff.ts'
import type { ConsumerSettings } from '../engine/settings.ts'
import { queuePrefix } from './overrides.ts'
import { setupError } from './problems.ts'
import type { Values } from './settings.ts'
import type { Config } from './types.ts'

/**
 * What was set for this very queue (`EMAIL_QUEUE_CONCURRENCY=20`), to be laid over what its processor declares.
 * `backoff` is the one in effect otherwise, as a variable may change only half of it.
 * @throws SetupError when one of the queue's variables is malformed.
 */
export function queueOverrides(
  config: Pick<Config, 'consumer' | 'overrides'>,
  queue: string,
  backoff: BackoffSettings = config.consumer.backoff,
): Partial<ConsumerSettings> {
  const { override = {}, problems = [] } = config.overrides[queuePrefix(queue)] ?? {}
  if (problems.length > 0) throw setupError(problems)
  const { backoffBaseSeconds, backoffMaxSeconds, archiveRetentionDays: _, ...own } = override
  if (backoffBaseSeconds === undefined && backoffMaxSeconds === undefined) return own
  const baseSeconds =
    backoffBaseSeconds ?? Math.min(backoff.baseSeconds, backoffMaxSeconds ?? backoff.baseSeconds)
  const maxSeconds = backoffMaxSeconds ?? Math.max(backoff.maxSeconds, baseSeconds)
  return { ...own, backoff: { baseSeconds, maxSeconds } }
}

/**
 * How many days the archives of these queues are kept (0: for ever), of those of which the environment says it. Of the others
 * the database may say it.
 * @throws SetupError when one of the queues' variables is malformed.
 */
export function archiveDays(
  config: Pick<Config, 'retention' | 'overrides'>,
  queues: readonly string[],
): Record<string, number> {
  const days = queues.map((queue): [string, number] | null => {
    const { override = {}, problems = [] } = config.overrides[queuePrefix(queue)] ?? {}
    if (problems.length > 0) throw setupError(problems)
    const own = override.archiveRetentionDays ?? (config.retention.archiveDays || undefined)
    return own === undefined ? null : [queue, own]
  })
  return Object.fromEntries(days.filter((one) => one !== null))
}

/** What a queue without settings of its own gets. */
export function consumerDefaults(values: Values): ConsumerSettings {
  return {
    concurrency: values.WORKER_CONCURRENCY,
    batchSize: values.WORKER_BATCH_SIZE,
    visibilityTimeoutSeconds: values.WORKER_VISIBILITY_TIMEOUT_SECONDS,
    timeoutMs: values.WORKER_TIMEOUT,
    maxAttempts: values.WORKER_MAX_ATTEMPTS,
    maxInterruptions: values.WORKER_MAX_INTERRUPTIONS,
    backoff: {
      baseSeconds: values.WORKER_BACKOFF_BASE_SECONDS,
      maxSeconds: values.WORKER_BACKOFF_MAX_SECONDS,
    },
    onSuccess: values.WORKER_ON_SUCCESS,
    rateLimit: values.WORKER_RATE_LIMIT,
  }
}
