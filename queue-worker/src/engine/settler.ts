/**
 * Records outcomes: collects them for a few milliseconds, settles them in batches, and repeats a batch until it is
 * answered. A repeat is harmless (the fence answers `already`), so nothing here can double or lose a message.
 */
import { ConnectionFailure } from '../errors.ts'
import type { Queue, Settlement, SettleResult } from '../queue/contract.ts'
import { sleep } from '../utils/sleep.ts'
import type { Outage } from './outage.ts'
import { reconnectMs } from './pacing.ts'

export type Settler = {
  /** `done` is called when the outcome is recorded, or turned out to be beyond recording; never after `abandon`. */
  settle(settlement: Settlement, done: (result: SettleResult) => void): void
  /** Takes what is waiting, to be settled by somebody else's round trip; null when nothing is. */
  take(): Batch | null
  /** Settlements without an answer. */
  readonly pending: number
  /** Some of them were tried in vain, or had to wait for those: until they are recorded, their messages must not be read again here. */
  readonly overdue: boolean
  /** Resolves when nothing is pending. */
  idle(): Promise<void>
  /** The process ends: stop repeating. What is unanswered will be delivered again. */
  abandon(): void
}

export type Batch = {
  readonly settlements: readonly Settlement[]
  answered(results: readonly SettleResult[]): void
  /** Not answered: it goes back to be settled the ordinary way. */
  failed(): void
}

type Entry = {
  readonly settlement: Settlement
  readonly done: (result: SettleResult) => void
  repeated: boolean
  overdue: boolean
}

const MAX_BATCH = 500
const LINGER_MS = 2
const MAX_IN_FLIGHT = 2
/** The longer an outcome waits after an outage, the likelier its message is delivered once more: hurry. */
const MAX_RETRY_MS = 2000

export function createSettler(queue: Pick<Queue, 'settle'>, workerId: string, outage: Outage): Settler {
  const calls = outage.calls()
  const stop = new AbortController()
  let waiting: Entry[] = []
  let pending = 0
  let overdue = 0
  let inFlight = 0
  let timer: NodeJS.Timeout | null = null
  const onIdle: (() => void)[] = []

  function schedule(): void {
    if (waiting.length === 0 || inFlight >= MAX_IN_FLIGHT) return
    if (waiting.length >= MAX_BATCH) flush()
    else timer ??= setTimeout(flush, LINGER_MS)
  }

  function flush(): void {
    if (timer !== null) clearTimeout(timer)
    timer = null
    if (waiting.length === 0 || inFlight >= MAX_IN_FLIGHT) return
    const batch = waiting.splice(0, MAX_BATCH)
    inFlight += 1
    void deliver(batch).finally(() => {
      inFlight -= 1
      schedule()
    })
    schedule()
  }

  async function deliver(batch: Entry[]): Promise<void> {
    for (let failures = 1; !stop.signal.aborted; failures += 1) {
      let results: readonly SettleResult[]
      try {
        results = await queue.settle(
          batch.map((entry) => entry.settlement),
          workerId,
        )
      } catch (error) {
        if (!(error instanceof ConnectionFailure)) return refuse(batch, error)
        markRepeated(batch)
        if (error.kind === 'rejected') {
          calls.succeeded() // the database did answer
          return split(batch, error)
        }
        calls.failed(error)
        // Perhaps too much for one call: smaller ones may pass where it never would.
        if (error.kind === 'timeout' && failures > 1 && batch.length > 1) return split(batch, error)
        await sleep(reconnectMs(failures, MAX_RETRY_MS), stop.signal)
        continue
      }
      calls.succeeded()
      return answer(batch, results)
    }
  }

  /** The request itself is refused: find the settlement that spoils it, and let the others through. */
  async function split(batch: Entry[], error: Error): Promise<void> {
    if (batch.length <= 1) return refuse(batch, error)
    const half = Math.ceil(batch.length / 2)
    await deliver(batch.slice(0, half))
    await deliver(batch.slice(half))
  }

  function refuse(batch: Entry[], error: unknown): void {
    const text = error instanceof Error ? error.message : String(error)
    for (const entry of batch) finish(entry, { status: 'rejected', error: text })
  }

  function answer(batch: readonly Entry[], results: readonly SettleResult[]): void {
    for (const [index, entry] of batch.entries()) {
      const result = results[index] ?? { status: 'lost' as const }
      // A delete that finds nothing is ours if its first answer was lost, else somebody else's.
      const status = result.status === 'gone' ? (entry.repeated ? 'already' : 'lost') : result.status
      finish(entry, { ...result, status })
    }
  }

  function markRepeated(batch: readonly Entry[]): void {
    for (const entry of batch) entry.repeated = true
    for (const entry of [...batch, ...waiting]) markOverdue(entry)
  }

  function markOverdue(entry: Entry): void {
    if (entry.overdue) return
    entry.overdue = true
    overdue += 1
  }

  function finish(entry: Entry, result: SettleResult): void {
    pending -= 1
    if (entry.overdue) overdue -= 1
    try {
      entry.done(result)
    } catch (error) {
      // A mistake of ours ends the process, but not in the middle of a batch.
      queueMicrotask(() => {
        throw error
      })
    }
    if (pending > 0) return
    for (const resolve of onIdle.splice(0)) resolve()
  }

  return {
    settle(settlement, done) {
      pending += 1
      const entry = { settlement, done, repeated: false, overdue: false }
      if (overdue > 0) markOverdue(entry)
      waiting.push(entry)
      schedule()
    },
    take() {
      const batch = waiting.splice(0, MAX_BATCH)
      if (batch.length === 0) return null
      return {
        settlements: batch.map((entry) => entry.settlement),
        answered: (results) => answer(batch, results),
        failed() {
          markRepeated(batch)
          waiting = [...batch, ...waiting]
          schedule()
        },
      }
    },
    get pending() {
      return pending
    },
    get overdue() {
      return overdue > 0
    },
    idle: () => (pending === 0 ? Promise.resolve() : new Promise((resolve) => onIdle.push(resolve))),
    abandon() {
      stop.abort()
      for (const resolve of onIdle.splice(0)) resolve()
    },
  }
}
