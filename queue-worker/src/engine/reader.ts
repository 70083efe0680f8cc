/** The read loop: one at a time, for all queues in one request, as much as can be started soon. */
import { ConnectionFailure } from '../errors.ts'
import type { Queue, QueueState, ReadDemand, ReadResult } from '../queue/contract.ts'
import { createBell } from '../utils/sleep.ts'
import type { Consumer } from './consumer.ts'
import type { Emit } from './events.ts'
import type { Outage } from './outage.ts'
import { LATE_MS, pauseMs, reconnectMs } from './pacing.ts'
import type { Settler } from './settler.ts'

export type Reader = {
  /** Something may have changed: a slot is free, or (with a queue's name) a message was inserted. */
  wake(inserted?: boolean): void
  setListening(listening: boolean): void
  /** A message of ours becomes visible in so many milliseconds; the last read could not know. */
  expect(inMs: number): void
  /** Resolves when the read in flight, if any, has been dealt with and no other will follow. */
  stop(): Promise<void>
  /** True when the last read asked all queues, while nothing was in flight here, and found nothing due. */
  readonly exhausted: boolean
  /** By the last read: when the soonest hidden message becomes visible; null when none is. */
  readonly nextVisibleInMs: number | null
}

export type ReaderParts = {
  readonly queue: Pick<Queue, 'read' | 'exchange' | 'transport'>
  readonly consumers: readonly Consumer[]
  readonly settler: Settler
  readonly outage: Outage
  readonly emit: Emit
  readonly workerId: string
  readonly pollIntervalMs: number
  readonly readBytes: number
  readonly now: () => number
  readonly onRead?: () => void
}

export function startReader(parts: ReaderParts): Reader {
  const { queue, consumers, settler, outage, emit, now } = parts
  const bell = createBell()
  const states = new Map<string, string>()
  let listening = false
  let stopped = false
  let emptyReads = 0
  let mayHaveMore = true
  let exhausted = false
  let nextVisibleInMs: number | null = null
  let expectedAtMs = Number.POSITIVE_INFINITY
  let rotation = 0

  async function loop(): Promise<void> {
    while (!stopped) {
      const demands = wanted()
      if (demands.length === 0) await bell.wait(Number.POSITIVE_INFINITY)
      else await readOnce(demands)
    }
  }

  /** Takes turns at who comes first, so that the byte budget never starves the last queue. */
  function wanted(): ReadDemand[] {
    rotation = (rotation + 1) % Math.max(consumers.length, 1)
    const turned = [...consumers.slice(rotation), ...consumers.slice(0, rotation)]
    return turned.map((consumer) => consumer.demand()).filter((demand) => demand.limit > 0)
  }

  async function readOnce(demands: readonly ReadDemand[]): Promise<void> {
    const sentAtMs = now()
    expectedAtMs = Number.POSITIVE_INFINITY // what was expected so far, this read's answer tells
    const quiet = settler.pending === 0 && consumers.every((one) => one.running + one.buffered === 0)
    try {
      const result = await fetch(demands)
      outage.succeeded()
      dispatch(result, sentAtMs)
      exhausted = quiet && result.messages.length === 0 && demands.length === consumers.length
      parts.onRead?.()
    } catch (error) {
      if (!(error instanceof ConnectionFailure)) throw error
      outage.failed(error)
      await pause(reconnectMs(outage.failures), () => false)
      return
    }
    if (!mayHaveMore) {
      const waitMs = pauseMs({ emptyReads, idleIntervalMs: parts.pollIntervalMs, listening, nextVisibleInMs })
      // Slots that free up while the queues are empty are no reason to ask again; an insertion is.
      await pause(waitMs, () => mayHaveMore)
    }
  }

  /** Over RPC the outcomes that wait ride along: half the requests. A direct connection settles side by side instead. */
  async function fetch(demands: readonly ReadDemand[]): Promise<ReadResult> {
    const batch = queue.transport === 'rpc' ? settler.take() : null
    if (batch === null) return queue.read(demands, parts.readBytes)
    try {
      const { settled, read } = await queue.exchange(
        batch.settlements,
        parts.workerId,
        demands,
        parts.readBytes,
      )
      batch.answered(settled)
      return read
    } catch (error) {
      batch.failed()
      throw error
    }
  }

  function dispatch(result: ReadResult, sentAtMs: number): void {
    const count = result.messages.length
    mayHaveMore = count > 0
    emptyReads = count > 0 ? 0 : emptyReads + 1
    if (count > 0) emit('read', { messages: count, durationMs: now() - sentAtMs })
    for (const state of result.queues) noteState(state)
    const due = result.queues.flatMap((state) => state.nextVisibleInMs ?? [])
    nextVisibleInMs = due.length > 0 ? Math.min(...due) : null
    for (const consumer of consumers) {
      const messages = result.messages.filter((message) => message.queue === consumer.queue)
      if (messages.length > 0) consumer.accept(messages, sentAtMs)
    }
  }

  function noteState(state: QueueState): void {
    const before = states.get(state.queue) ?? 'ok'
    states.set(state.queue, state.status)
    if (before !== state.status) emit('queueState', state)
  }

  async function pause(ms: number, cutShort: () => boolean): Promise<void> {
    const untilMs = now() + ms
    const remainingMs = () => Math.min(untilMs, expectedAtMs) - now()
    while (!stopped && !cutShort() && remainingMs() > 0) await bell.wait(remainingMs())
  }

  const running = loop()
  return {
    wake(inserted = false) {
      if (inserted) {
        mayHaveMore = true
        emptyReads = 0
      }
      bell.ring()
    },
    setListening(value) {
      listening = value
      bell.ring()
    },
    expect(inMs) {
      expectedAtMs = Math.min(expectedAtMs, now() + inMs + LATE_MS)
      bell.ring()
    },
    async stop() {
      stopped = true
      bell.ring()
      await running
    },
    get exhausted() {
      return exhausted
    },
    get nextVisibleInMs() {
      return nextVisibleInMs
    },
  }
}
