/** How a worker stops: nothing new, what runs may finish, the rest is given back, every outcome is recorded. */
import { StoppingError } from '../errors.ts'
import type { Consumer } from './consumer.ts'
import type { Emit } from './events.ts'
import type { Outage } from './outage.ts'
import type { Reader } from './reader.ts'
import type { Settler } from './settler.ts'

export type ShutdownParts = {
  readonly consumers: readonly Consumer[]
  readonly reader: Reader | undefined
  readonly settler: Settler
  readonly outage: Outage
  readonly emit: Emit
  readonly drainTimeoutMs: number
  /** Aborted by whoever does not want to wait any longer. */
  readonly hurry: AbortSignal
  /** Says goodbye: heartbeats, registry, notifications. */
  readonly close: () => Promise<void>
}

/** After its abort at the end of the drain, a processor has this long to end. */
const ABORTED_MS = 500
/** The last outcomes get this long to be recorded when everything else has ended. */
const LAST_SETTLE_MS = 10_000
/** Saying goodbye to a database that hangs must not keep the process from ending. */
const CLOSE_MS = 3000

export async function shutDown(parts: ShutdownParts, reason: string): Promise<void> {
  const { consumers, reader, settler, outage, emit, hurry } = parts
  const running = () => consumers.reduce((total, one) => total + one.running, 0)
  const buffered = consumers.reduce((total, one) => total + one.buffered, 0)
  emit('stopping', { running: running(), buffered, reason })
  for (const consumer of consumers) consumer.close()
  const limit = timeLimit(parts.drainTimeoutMs, hurry)
  // A read in flight is waited for: what it brings is released at once instead of staying hidden.
  await Promise.race([reader?.stop(), limit])
  await Promise.race([idle(running), limit])
  if (running() > 0) {
    emit('drainTimedOut', { running: running() })
    const error = new StoppingError('the worker is stopping')
    for (const consumer of consumers) consumer.abort(error)
    await Promise.race([idle(running), timeLimit(ABORTED_MS)])
    for (const consumer of consumers) consumer.giveUp(error)
    await idle(running)
  }
  await Promise.race([settler.idle(), timeLimit(LAST_SETTLE_MS, outage.failures > 0 ? hurry : undefined)])
  settler.abandon()
  await Promise.race([parts.close(), timeLimit(CLOSE_MS)])
}

async function idle(running: () => number): Promise<void> {
  while (running() > 0) await new Promise((resolve) => setTimeout(resolve, 10))
}

function timeLimit(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve()
    const timer = setTimeout(resolve, ms)
    timer.unref()
    signal?.addEventListener('abort', () => {
      clearTimeout(timer)
      resolve()
    })
  })
}
