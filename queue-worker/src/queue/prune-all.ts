import type { Operator, PruneOptions } from './operator.ts'

/** Prunes bite by bite until nothing is left or it is told to stop; returns how many rows of each kind went. */
export async function pruneAll(
  queue: Pick<Operator, 'prune'>,
  options: Omit<PruneOptions, 'after'>,
  signal?: AbortSignal,
): Promise<Record<string, number>> {
  const total: Record<string, number> = {}
  let after: PruneOptions['after'] = null
  do {
    const { deleted, next } = await queue.prune({ ...options, after })
    for (const [kind, count] of Object.entries(deleted)) total[kind] = (total[kind] ?? 0) + count
    after = next
  } while (after !== null && signal?.aborted !== true)
  return total
}
