/** What must be right before the first read: the database answers, speaks our protocol, and has the queues as they are to be. */
import { ConnectionFailure } from '../errors.ts'
import type { DatabaseStatus, Queue } from '../queue/contract.ts'
import type { RateLimit } from '../utils/rate-limit.ts'
import { sleep } from '../utils/sleep.ts'
import type { Emit } from './events.ts'
import type { Outage } from './outage.ts'
import { reconnectMs } from './pacing.ts'

export type HandshakeParts = {
  readonly queue: Pick<Queue, 'status' | 'ensureQueue' | 'setRateLimit'>
  /** An undefined limit leaves what the database has. */
  readonly queues: readonly { readonly name: string; readonly rateLimit?: RateLimit | null | undefined }[]
  readonly notify: boolean
  readonly outage: Outage
  readonly emit: Emit
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
  const { queue, queues, notify, outage, emit, giveUpMs, signal } = parts
  const calls = outage.calls()
  while (!signal.aborted) {
    try {
      const status = await queue.status()
      for (const { name } of queues) await queue.ensureQueue(name, { notify })
      for (const { name, rateLimit } of queues) {
        if (rateLimit !== undefined) await queue.setRateLimit(name, rateLimit)
      }
      calls.succeeded()
      for (const { name, rateLimit } of queues) {
        if (rateLimit !== undefined) emit('rateLimitSet', { queue: name, limit: rateLimit })
      }
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
