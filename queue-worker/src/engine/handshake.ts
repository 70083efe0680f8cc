/** What must be right before the first read: the database answers, speaks our protocol, and has the queues. */
import { ConnectionFailure } from '../errors.ts'
import type { DatabaseStatus, Queue } from '../queue/contract.ts'
import { sleep } from '../utils/sleep.ts'
import type { Outage } from './outage.ts'
import { reconnectMs } from './pacing.ts'

export type HandshakeParts = {
  readonly queue: Pick<Queue, 'status' | 'ensureQueue'>
  readonly queues: readonly string[]
  readonly notify: boolean
  readonly outage: Outage
  readonly giveUpMs: number
  readonly signal: AbortSignal
}

/** A program that is being started should notice soon that its database is there. */
const MAX_PAUSE_MS = 5000

/**
 * Waits through what time can mend (a database that is starting), and throws what only a person can: a wrong key,
 * a missing or old migration. Null when it was told to stop meanwhile.
 */
export async function handshake(parts: HandshakeParts): Promise<DatabaseStatus | null> {
  const { queue, queues, notify, outage, giveUpMs, signal } = parts
  const calls = outage.calls()
  while (!signal.aborted) {
    try {
      const status = await queue.status()
      for (const name of queues) await queue.ensureQueue(name, { notify })
      calls.succeeded()
      return status
    } catch (error) {
      if (signal.aborted) return null // the stop has closed the connection under it
      if (!(error instanceof ConnectionFailure) || !error.transient) throw error
      calls.failed(error)
      if (outage.downMs() > giveUpMs) throw error
      await sleep(reconnectMs(calls.failures, MAX_PAUSE_MS), signal)
    }
  }
  return null
}
