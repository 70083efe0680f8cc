/** Calls the database until it answers: for what must be recorded while a processor waits. */
import { ConnectionFailure } from '../errors.ts'
import { sleep } from '../utils/sleep.ts'
import { reconnectMs } from './pacing.ts'

/**
 * Repeats an idempotent call through transient failures of the connection until it succeeds, fails for good, or
 * the signal is aborted; then throws the last failure.
 */
export async function persist<T>(call: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (let failures = 1; ; failures += 1) {
    try {
      return await call()
    } catch (error) {
      if (!(error instanceof ConnectionFailure && error.transient) || signal.aborted) throw error
      await sleep(reconnectMs(failures), signal)
    }
  }
}
