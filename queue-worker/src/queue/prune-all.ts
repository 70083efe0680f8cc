import { ConnectionFailure } from '../errors.ts'
import type { Operator, PruneOptions } from './operator.ts'

/** Rows of each kind that one call looks at. */
const BITE = 1000
const SMALLEST_BITE = 15

/**
 * Prunes bite by bite until nothing is left or it is told to stop; returns how many rows of each kind went. A bite that takes too
 * long is halved. @throws ConnectionFailure
 */
export async function pruneAll(
  queue: Pick<Operator, 'prune'>,
  options: Omit<PruneOptions, 'after'>,
  signal?: AbortSignal,
): Promise<Record<string, number>> {
  const total: Record<string, number> = {}
  let after: PruneOptions['after'] = null
  let limit = options.limit ?? BITE
  for (let isDone = false; !isDone && signal?.aborted !== true; ) {
    try {
      const { deleted, next } = await queue.prune({ ...options, after, limit })
      for (const [kind, count] of Object.entries(deleted)) total[kind] = (total[kind] ?? 0) + count
      after = next
      isDone = next === null
    } catch (error) {
      const isTooLarge = error instanceof ConnectionFailure && error.kind === 'timeout'
      if (!isTooLarge || limit <= SMALLEST_BITE) throw error
      limit = Math.ceil(limit / 2)
    }
  }
  return total
}
