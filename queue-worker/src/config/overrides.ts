/** Settings of a single queue: `EMAIL_QUEUE_CONCURRENCY=20` for the queue `email_queue`. */
import type { RateLimit } from '../utils/rate-limit.ts'
import { type Environment, given, type Problem } from './gather.ts'
import { KNOWN_NAMES, QUEUE_FIELDS } from './settings.ts'

type Fields = typeof QUEUE_FIELDS
export type QueueSuffix = keyof Fields
export const QUEUE_SUFFIXES = Object.keys(QUEUE_FIELDS) as QueueSuffix[]

/** What the environment says about queues, by prefix. Keys are left out where nothing is set. */
export type QueueOverride = {
  readonly concurrency?: number
  readonly batchSize?: number
  readonly visibilityTimeoutSeconds?: number
  readonly timeoutMs?: number
  readonly maxAttempts?: number
  readonly maxInterruptions?: number
  readonly backoffBaseSeconds?: number
  readonly backoffMaxSeconds?: number
  readonly onSuccess?: 'archive' | 'delete'
  readonly archiveRetentionDays?: number
  readonly rateLimit?: RateLimit | null
}

/** The prefix of a queue's variables: upper case, everything but letters and digits becomes `_`. */
export function queuePrefix(queue: string): string {
  return queue.toUpperCase().replace(/[^A-Z0-9]/g, '_')
}

/** Splits `EMAIL_QUEUE_BATCH_SIZE` into its prefix and suffix; undefined for a name that is no override. */
export function splitOverride(name: string): { prefix: string; suffix: QueueSuffix } | undefined {
  if (KNOWN_NAMES.includes(name) || name.startsWith('WORKER_')) return undefined
  const suffix = QUEUE_SUFFIXES.find((known) => name.endsWith(`_${known}`) && name.length > known.length + 1)
  return suffix === undefined ? undefined : { prefix: name.slice(0, -suffix.length - 1), suffix }
}

/** The prefixes for which the environment holds something that looks like an override. */
export function overridePrefixes(env: Environment): string[] {
  const names = Object.keys(env).filter((name) => given(env, name) !== undefined)
  return [...new Set(names.flatMap((name) => splitOverride(name)?.prefix ?? []))]
}

/** Reads the overrides of one prefix. Other programs use names like these too, hence only on demand. */
export function readOverride(
  env: Environment,
  prefix: string,
): { override: QueueOverride; problems: Problem[] } {
  const problems: Problem[] = []
  const read = <S extends QueueSuffix>(suffix: S): ReturnType<Fields[S]['parse']> | undefined => {
    const name = `${prefix}_${suffix}`
    const text = KNOWN_NAMES.includes(name) ? undefined : given(env, name)
    if (text === undefined) return undefined
    const result = QUEUE_FIELDS[suffix].safeParse(text)
    if (result.success) return result.data as ReturnType<Fields[S]['parse']>
    problems.push(...result.error.issues.map((issue) => ({ name, wrong: issue.message })))
    return undefined
  }
  const override = defined({
    concurrency: read('CONCURRENCY'),
    batchSize: read('BATCH_SIZE'),
    visibilityTimeoutSeconds: read('VISIBILITY_TIMEOUT_SECONDS'),
    timeoutMs: read('TIMEOUT'),
    maxAttempts: read('MAX_ATTEMPTS'),
    maxInterruptions: read('MAX_INTERRUPTIONS'),
    backoffBaseSeconds: read('BACKOFF_BASE_SECONDS'),
    backoffMaxSeconds: read('BACKOFF_MAX_SECONDS'),
    onSuccess: read('ON_SUCCESS'),
    archiveRetentionDays: read('ARCHIVE_RETENTION_DAYS'),
    rateLimit: read('RATE_LIMIT'),
  })
  return { override, problems }
}

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> }

function defined<T extends object>(object: T): Defined<T> {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as Defined<T>
}
