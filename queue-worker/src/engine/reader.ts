/** The read loop: one read at a time, for all queues in one request, as much as can be started soon. */
import { ConnectionFailure } from '../errors.ts'
import type { Queue, ReadDemand, ReadResult } from '../queue/contract.ts'
import { createBell } from '../utils/sleep.ts'
import { createAgenda } from './agenda.ts'
import type { Consumer } from './consumer.ts'
import type { Emit } from './events.ts'
import type { Outage } from './outage.ts'
import { ACTIVE_INTERVAL_MS, pauseMs, reconnectMs } from './pacing.ts'
import type { Settler } from './settler.ts'

export type Reader = {
  /** A slot is free, or an outcome is recorded: look whether there is something to read for it. */
  wake(): void
  /** Something was inserted into this queue; '*': it may have been into any. */
  inserted(queue: string): void
  setListening(listening: boolean): void
  /** From now on somebody waits for the queues to be empty: poll as after activity. */
  hurry(): void
  /** A message of this queue becomes visible in so many milliseconds; the last read could not know. */
  expect(queue: string, inMs: number): void
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
  /** Called after each read with how long it took. */
  readonly onRead: (durationMs: number) => void
  /** A mistake of ours, not of the connection: the worker cannot go on. */
  readonly onBroken: (error: unknown) => void
}

/** After a failed read, other calls that are answered say that it is worth trying again; they are looked at so often. */
const LOOK_AGAIN_MS = 1000
const MIN_RETRY_MS = 500

export function startReader(parts: ReaderParts): Reader {
  const { queue, consumers, settler, outage, emit, now } = parts
  const calls = outage.calls()
  const agenda = createAgenda(
    consumers.map((one) => one.queue),
    emit,
  )
  const bell = createBell()
  let listening = false
  let hurried = false
  let stopped = false
  let emptyReads = 0
  let pollAtMs = 0
  let failedAtMs = 0
  let notBeforeMs = 0
  let exhausted = false
  let nextVisibleInMs: number | null = null
  let rotation = 0

  async function loop(): Promise<void> {
    while (!stopped) {
      const demands = wanted()
      const waitMs = untilNextRead(demands)
      if (waitMs > 0) await bell.wait(waitMs)
      else await readOnce(demands)
    }
  }

  function wanted(): ReadDemand[] {
    return consumers.map((consumer) => consumer.demand()).filter((demand) => demand.limit > 0)
  }

  /** Slots that free up while their queue is empty are no reason to ask again; an insertion is. */
  function untilNextRead(demands: readonly ReadDemand[]): number {
    // An outcome that could not be recorded yet comes first: reading would deliver its message once more.
    if (demands.length === 0 || settler.overdue) return Number.POSITIVE_INFINITY
    const atMs = Math.min(pollAtMs, ...demands.map((demand) => agenda.dueAtMs(demand.queue)))
    if (calls.failures === 0) return atMs - now()
    const retryAtMs = outage.answeredAtMs > failedAtMs ? failedAtMs + MIN_RETRY_MS : notBeforeMs
    return Math.min(Math.max(atMs, retryAtMs) - now(), LOOK_AGAIN_MS)
  }

  async function readOnce(wants: readonly ReadDemand[]): Promise<void> {
    const sentAtMs = now()
    const demands = takeTurns(wants)
    for (const demand of demands) agenda.asked(demand.queue)
    const quiet = settler.pending === 0 && consumers.every((one) => one.running + one.buffered === 0)
    try {
      const result = await fetch(demands)
      calls.succeeded()
      dispatch(demands, result, sentAtMs)
      exhausted =
        quiet && demands.length === consumers.length && result.messages.length === 0 && !agenda.hasError
      parts.onRead(now() - sentAtMs)
    } catch (error) {
      if (!(error instanceof ConnectionFailure)) throw error
      calls.failed(error)
      // What this read might have found is still to be read.
      for (const demand of demands) agenda.inserted(demand.queue)
      failedAtMs = now()
      notBeforeMs = failedAtMs + reconnectMs(calls.failures)
    }
  }

  /** Who comes first changes, so that the byte budget never starves the last queue. */
  function takeTurns(demands: readonly ReadDemand[]): ReadDemand[] {
    rotation = (rotation + 1) % demands.length
    return [...demands.slice(rotation), ...demands.slice(0, rotation)]
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

  function dispatch(demands: readonly ReadDemand[], result: ReadResult, sentAtMs: number): void {
    const count = result.messages.length
    const byQueue = Map.groupBy(result.messages, (message) => message.queue)
    emptyReads = count > 0 ? 0 : emptyReads + 1
    if (count > 0) emit('read', { messages: count, durationMs: now() - sentAtMs })
    for (const { queue } of demands) if (byQueue.has(queue)) agenda.inserted(queue)
    for (const state of result.queues) agenda.note(state, now())
    const due = result.queues.flatMap((state) => state.nextVisibleInMs ?? [])
    nextVisibleInMs = due.length > 0 ? Math.min(...due) : null
    // Nobody notifies of a queue that is resumed or created: look for it as if there were no notifications.
    const pace = {
      emptyReads,
      idleIntervalMs: parts.pollIntervalMs,
      listening: listening && agenda.isReadable,
    }
    pollAtMs = now() + (hurried ? Math.min(pauseMs(pace), ACTIVE_INTERVAL_MS) : pauseMs(pace))
    for (const consumer of consumers) {
      const messages = byQueue.get(consumer.queue)
      if (messages !== undefined) consumer.accept(messages, sentAtMs)
    }
  }

  const running = loop().catch(parts.onBroken)
  return {
    wake: bell.ring,
    inserted(name) {
      emptyReads = 0
      agenda.inserted(name)
      bell.ring()
    },
    setListening(value) {
      listening = value
      // What the other mode would have told since the last read, a read must find out.
      pollAtMs = 0
      bell.ring()
    },
    hurry() {
      hurried = true
      pollAtMs = 0
      bell.ring()
    },
    expect(name, inMs) {
      agenda.expect(name, now() + inMs)
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
