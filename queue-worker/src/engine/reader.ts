/** The read loop: all queues in one request, as much as can be started soon; two requests at once where much is waiting. */
import { ConnectionFailure } from '../errors.ts'
import type { Queue, ReadDemand, ReadResult } from '../queue/contract.ts'
import { createBell } from '../utils/sleep.ts'
import type { Consumer } from './consumer.ts'
import type { Emit } from './events.ts'
import type { Outage } from './outage.ts'
import type { Pulse } from './pulse.ts'
import { createReadSchedule } from './read-schedule.ts'
import type { Settler } from './settler.ts'
import { createTurns } from './turns.ts'

export type Reader = {
  /** A slot of this queue is free, or an outcome is recorded: look whether there is something to read for it. */
  freed(queue: string): void
  /** Something was inserted into this queue; '*': it may have been into any. */
  inserted(queue: string): void
  setListening(listening: boolean): void
  /** From now on somebody waits for the queues to be empty: poll as after activity. */
  hurry(): void
  /** A message of this queue becomes visible in so many milliseconds; the last read could not know. */
  expect(queue: string, inMs: number): void
  /** Resolves when the reads in flight have been dealt with and no other will follow. */
  stop(): Promise<void>
  /** True when the last read asked all queues, while nothing was in flight here, and found nothing due. */
  readonly exhausted: boolean
  /** When there will be something to read, by all that is known; null when nothing is. */
  readonly nextVisibleInMs: number | null
}

export type ReaderParts = {
  readonly queue: Pick<Queue, 'read' | 'exchange' | 'transport'>
  readonly consumers: readonly Consumer[]
  readonly settler: Settler
  readonly outage: Outage
  readonly pulse: Pick<Pulse, 'turn'>
  readonly emit: Emit
  readonly workerId: string
  readonly pollIntervalMs: number
  readonly readBytes: number
  readonly now: () => number
  /** Called after each read. */
  readonly onRead: (durationMs: number) => void
  /** A mistake of ours, not of the connection: the worker cannot go on. */
  readonly onBroken: (error: unknown) => void
}

export function startReader(parts: ReaderParts): Reader {
  const { queue, consumers, settler, pulse, emit, now } = parts
  const schedule = createReadSchedule({ ...parts, queues: consumers.map((one) => one.queue) })
  const bell = createBell()
  /** What the reads under way ask for; at most two. */
  const open = new Map<readonly ReadDemand[], Promise<void>>()
  let stopped = false
  let exhausted = false
  /** So that the byte budget never starves the last queue. */
  const takeTurns = createTurns()
  /** Reads that brought messages. */
  let brought = 0

  async function loop(): Promise<void> {
    while (!stopped) {
      // One moment for all that is held: what is released between two looks at the clock would be neither asked for nor waited for.
      const atMs = now()
      const all = asked()
      const demands = wanted(all, atMs)
      const waitMs = Math.min(untilNextRead(demands), untilReleased(all, atMs))
      pulse.turn('reading', open.size > 0 ? Math.min(waitMs, parts.pollIntervalMs) : waitMs)
      if (waitMs > 0) await bell.wait(waitMs)
      else
        open.set(
          demands,
          readOnce(demands)
            .catch(parts.onBroken)
            .finally(() => {
              open.delete(demands)
              bell.ring()
            }),
        )
    }
    await Promise.all(open.values())
  }

  /** What the consumers would take, besides what reads under way may bring. */
  function asked(): ReadDemand[] {
    const before = [...open.keys()].flat()
    const expected = (name: string) =>
      before.reduce((sum, { queue, limit }) => sum + (queue === name ? limit : 0), 0)
    return consumers.map((consumer) => consumer.demand(expected(consumer.queue)))
  }

  function wanted(demands: readonly ReadDemand[], atMs: number): readonly ReadDemand[] {
    const some = demands.filter(({ queue, limit }) => limit > 0 && schedule.heldMs(queue, atMs) <= 0)
    if (open.size > 0) return some.filter((demand) => schedule.isDeep(demand.queue))
    // With nothing to ask for, the end of an outage would not be known: then the question alone is asked.
    return some.length === 0 && schedule.isFailing ? demands : some
  }

  function untilNextRead(demands: readonly ReadDemand[]): number {
    // An outcome that could not be recorded yet comes first: reading would deliver its message once more.
    if (demands.length === 0 || settler.overdue || open.size > 1) return Number.POSITIVE_INFINITY
    return open.size > 0 ? 0 : schedule.waitMs(demands)
  }

  /** What a limit or a breaker holds is asked for then. */
  function untilReleased(demands: readonly ReadDemand[], atMs: number): number {
    const held = demands.filter(({ limit }) => limit > 0).map(({ queue }) => schedule.heldMs(queue, atMs))
    return Math.min(...held.filter((ms) => ms > 0))
  }

  async function readOnce(wants: readonly ReadDemand[]): Promise<void> {
    const sentAtMs = now()
    const demands = takeTurns(wants)
    const inFlight = settler.pending + open.size
    const quiet = inFlight === 0 && consumers.every((one) => one.running + one.buffered === 0)
    const before = brought
    schedule.sent(demands)
    try {
      const result = await fetch(demands)
      schedule.answered(demands, result)
      dispatch(result, sentAtMs)
      exhausted =
        quiet &&
        open.size <= 1 && // this one; others may bring some
        brought === before && // and none has since
        consumers.every(
          ({ queue: name }) => demands.some((one) => one.queue === name) || schedule.heldMs(name, now()) > 0,
        ) &&
        result.messages.length === 0 &&
        !schedule.hasError
      parts.onRead(now() - sentAtMs)
    } catch (error) {
      if (!(error instanceof ConnectionFailure)) throw error
      // What it might have brought is hidden now, or still there.
      exhausted = false
      schedule.failed(demands, error)
    }
  }

  /**
   * Over RPC the outcomes that wait ride along: half the requests. Where much is waiting, and over a direct connection, they are
   * settled side by side instead.
   */
  async function fetch(demands: readonly ReadDemand[]): Promise<ReadResult> {
    const rides = queue.transport === 'rpc' && !demands.some((demand) => schedule.isDeep(demand.queue))
    const batch = rides ? settler.take() : null
    if (batch === null) return queue.read(demands, parts.readBytes)
    const { settlements } = batch
    const asked = queue.exchange(settlements, parts.workerId, demands, parts.readBytes)
    const { settled, read } = await asked.catch((error: unknown) => {
      batch.failed()
      throw error
    })
    batch.answered(settled)
    return read
  }

  function dispatch({ messages }: ReadResult, sentAtMs: number): void {
    if (messages.length === 0) return
    brought += 1
    emit('read', { messages: messages.length, durationMs: now() - sentAtMs })
    const byQueue = Map.groupBy(messages, (message) => message.queue)
    for (const consumer of consumers) consumer.accept(byQueue.get(consumer.queue) ?? [], sentAtMs)
  }

  const running = loop().catch(parts.onBroken)
  return {
    freed(name) {
      schedule.freed(name)
      bell.ring()
    },
    inserted(name) {
      schedule.inserted(name)
      bell.ring()
    },
    setListening(value) {
      schedule.setListening(value)
      bell.ring()
    },
    hurry() {
      schedule.hurry()
      bell.ring()
    },
    expect(name, inMs) {
      schedule.expect(name, inMs)
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
      return schedule.nextVisibleInMs
    },
  }
}
