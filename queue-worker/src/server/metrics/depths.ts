/** What is in the queues, asked of the database no more often than is worth its while, however often metrics are. */
import type { QueueOverview } from '../../queue/operator.ts'
import { sleep } from '../../utils/sleep.ts'

export type Depths = {
  /** Never rejects, and takes no longer than a scrape will wait. Null: nothing is known, or only what is too old. */
  read(): Promise<{ readonly queues: readonly QueueOverview[]; readonly ageSeconds: number } | null>
}

/** Younger numbers are given again. */
const FRESH_MS = 5000
/** Older ones are not given any more. */
const STALE_MS = 60_000
/** Prometheus waits 10 s for all. */
const PATIENCE_MS = 3000

export function createDepths(overview: () => Promise<readonly QueueOverview[]>, now: () => number): Depths {
  let known: { readonly queues: readonly QueueOverview[]; readonly atMs: number } | null = null
  let asking: Promise<void> | null = null

  async function ask(): Promise<void> {
    const atMs = now()
    try {
      known = { queues: await overview(), atMs }
    } catch {
      // Reading tells of a database that cannot be used; here the numbers grow old, and then are missing.
    }
  }

  return {
    async read() {
      if (known === null || now() - known.atMs > FRESH_MS) {
        asking ??= ask().finally(() => {
          asking = null
        })
        const enough = new AbortController()
        await Promise.race([asking, sleep(PATIENCE_MS, enough.signal)])
        enough.abort()
      }
      const ageMs = known === null ? Number.POSITIVE_INFINITY : now() - known.atMs
      return known === null || ageMs > STALE_MS ? null : { queues: known.queues, ageSeconds: ageMs / 1000 }
    },
  }
}
