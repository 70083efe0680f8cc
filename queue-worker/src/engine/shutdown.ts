/** How a worker stops: nothing new, what runs may finish, the rest is given back, every outcome is recorded. */
import { StoppingError } from '../errors.ts'
import type { Processor } from '../processors/define.ts'
import { sleep } from '../utils/sleep.ts'
import type { Consumer } from './consumer.ts'
import type { Emit } from './events.ts'
import type { Outage } from './outage.ts'
import type { Reader } from './reader.ts'
import { MAX_TIMER_MS } from './settings.ts'
import type { Settler } from './settler.ts'

export type ShutdownParts = {
  readonly consumers: readonly Consumer[]
  readonly reader: Reader | undefined
  readonly settler: Settler
  readonly outage: Outage
  readonly emit: Emit
  readonly now: () => number
  readonly drainTimeoutMs: number
  /** Aborted by whoever does not want to wait any longer. */
  readonly hurry: AbortSignal
  /** Says goodbye: heartbeats, registry, notifications. */
  readonly close: () => Promise<void>
}

/** After its abort at the end of the drain, a processor has this long to end. */
const ABORTED_MS = 2000
/** The last outcomes get this long to be recorded when everything else has ended. */
const LAST_SETTLE_MS = 10_000
/** Whoever does not want to wait still waits this long for a read in flight: what it brings would stay hidden. */
const LAST_READ_MS = 1000
/** What was given up has ended by then, or never will: an isolated child that cannot even be killed, say. */
const GIVEN_UP_MS = 5000
/** Saying goodbye to a database that hangs must not keep the process from ending. */
export const CLOSE_MS = 3000
/** What processors hold open gets this long to be closed. */
const CLOSE_PROCESSOR_MS = 5000

export async function shutDown(parts: ShutdownParts, reason: string): Promise<void> {
  const { consumers, reader, settler, outage, emit, now, hurry } = parts
  const beganMs = now()
  const running = () => consumers.reduce((total, one) => total + one.running, 0)
  const buffered = consumers.reduce((total, one) => total + one.buffered, 0)
  emit('stopping', { running: running(), buffered, reason })
  for (const consumer of consumers) consumer.close()
  async function untilIdle(limit: Limit): Promise<void> {
    let isOver = false
    void limit.reached.then(() => {
      isOver = true
    })
    while (running() > 0 && !isOver) await sleep(10)
    limit.cancel()
  }
  const drainLimit = () => timeLimit(parts.drainTimeoutMs - (now() - beganMs), hurry)
  // A read in flight is waited for: what it brings is released at once instead of staying hidden.
  const reading = reader?.stop() ?? Promise.resolve()
  await within(drainLimit(), reading)
  await within(timeLimit(LAST_READ_MS), reading)
  await untilIdle(drainLimit())
  if (running() > 0) {
    emit('drainTimedOut', { running: running() })
    const error = new StoppingError('the worker is stopping')
    for (const consumer of consumers) consumer.abort(error)
    await untilIdle(timeLimit(ABORTED_MS))
    for (const consumer of consumers) consumer.giveUp(error)
    await untilIdle(timeLimit(GIVEN_UP_MS))
  }
  // In an outage, who hurries does not wait for its end.
  const lastSettle = timeLimit(LAST_SETTLE_MS, outage.downMs() > 0 ? hurry : undefined)
  let isTooLate = false
  void lastSettle.reached.then(() => {
    isTooLate = true
  })
  // An outcome that was refused is followed by another, a moment after the settler was idle.
  while (settler.pending > 0 && !isTooLate) {
    await Promise.race([settler.idle(), lastSettle.reached])
    await sleep(0)
  }
  lastSettle.cancel()
  settler.abandon()
  await within(timeLimit(CLOSE_MS), parts.close())
}

/** @throws Error when what a processor holds open cannot be closed in time, and whatever closing it throws. */
export async function closeProcessor(processor: Processor): Promise<void> {
  const limit = timeLimit(CLOSE_PROCESSOR_MS)
  const tooLate = limit.reached.then(() => {
    throw new Error(`what the processor of queue ${processor.queue} holds open could not be closed`)
  })
  await Promise.race([processor.close?.(), tooLate]).finally(limit.cancel)
}

type Limit = { readonly reached: Promise<void>; cancel(): void }

/** Waits for something, but no longer than this; the limit leaves nothing behind. */
export async function within(limit: Limit, something: Promise<unknown>): Promise<void> {
  await Promise.race([something, limit.reached])
  limit.cancel()
}

/** Reached after so many milliseconds, or when the signal is aborted; never once it is cancelled. */
export function timeLimit(ms: number, signal?: AbortSignal): Limit {
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, Math.min(Math.max(0, ms), MAX_TIMER_MS))
  if (signal?.aborted) resolve()
  signal?.addEventListener('abort', () => resolve(), { once: true })
  return { reached: promise, cancel: () => clearTimeout(timer) }
}
