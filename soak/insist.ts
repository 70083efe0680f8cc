/** Asks again what a database that is away, or a connection that a fault has cut, did not answer. */
import { setTimeout as sleep } from 'node:timers/promises'

/** A connection that a fault has cut is told so by its first use, and a stop of PostgreSQL lasts some seconds. */
const ASK_LIMIT_MS = 30_000

/** Asks until it is answered, 30 s at most. Throws the last error then, or at once when `signal` is aborted. */
export async function insist<T>(ask: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  const giveUpMs = performance.now() + ASK_LIMIT_MS
  for (;;) {
    try {
      return await ask()
    } catch (error) {
      if (performance.now() > giveUpMs || signal?.aborted) throw error
      await sleep(200)
    }
  }
}
