/** When the next read is worth while, and whether two at once are: from what reads found, what was inserted, and time. */
import type { ConnectionFailure } from '../errors.ts'
import type { ReadDemand, ReadResult } from '../queue/contract.ts'
import { createAgenda } from './agenda.ts'
import type { Emit } from './events.ts'
import type { Outage } from './outage.ts'
import { ACTIVE_INTERVAL_MS, pauseMs, reconnectMs } from './pacing.ts'

export type ReadScheduleParts = {
  readonly queues: readonly string[]
  readonly outage: Pick<Outage, 'calls' | 'answeredAtMs'>
  readonly emit: Emit
  readonly pollIntervalMs: number
  readonly now: () => number
}

/** After a failed read, other calls that are answered say that it is worth trying again; they are looked at so often. */
const LOOK_AGAIN_MS = 1000
const MIN_RETRY_MS = 500

export function createReadSchedule({ queues, outage, emit, pollIntervalMs, now }: ReadScheduleParts) {
  const calls = outage.calls()
  const agenda = createAgenda(queues, emit)
  let listening = false
  let hurried = false
  let emptyReads = 0
  let pollAtMs = 0
  let failedAtMs = 0
  let notBeforeMs = 0

  return {
    inserted(queue: string): void {
      emptyReads = 0
      agenda.inserted(queue)
    },
    expect(queue: string, inMs: number): void {
      agenda.expect(queue, now() + inMs)
    },
    freed(queue: string): void {
      agenda.freed(queue)
    },
    setListening(value: boolean): void {
      listening = value
      // What the other mode would have told since the last read, a read must find out.
      pollAtMs = 0
    },
    hurry(): void {
      hurried = true
      pollAtMs = 0
    },
    sent(demands: readonly ReadDemand[]): void {
      for (const demand of demands) agenda.asked(demand.queue)
    },
    answered(demands: readonly ReadDemand[], { queues: states, messages }: ReadResult): void {
      calls.succeeded()
      const found = new Set(messages.map((message) => message.queue))
      emptyReads = found.size > 0 ? 0 : emptyReads + 1
      const patienceMs = hurried ? ACTIVE_INTERVAL_MS : pollIntervalMs
      for (const state of states) agenda.note(state, now(), patienceMs)
      for (const { queue } of demands) if (found.has(queue)) agenda.inserted(queue)
      // Nobody notifies of a queue that is resumed or created: look for it as if there were no notifications.
      const pace = { emptyReads, idleIntervalMs: pollIntervalMs, listening: listening && agenda.isReadable }
      pollAtMs = now() + (hurried ? Math.min(pauseMs(pace), ACTIVE_INTERVAL_MS) : pauseMs(pace))
    },
    failed(demands: readonly ReadDemand[], failure: ConnectionFailure): void {
      calls.failed(failure)
      // What this read might have found is still to be read.
      for (const demand of demands) agenda.inserted(demand.queue)
      failedAtMs = now()
      notBeforeMs = failedAtMs + reconnectMs(calls.failures)
    },
    /** Slots that free up while their queue is empty are no reason to ask again; an insertion is. */
    waitMs(demands: readonly ReadDemand[]): number {
      const atMs = Math.min(pollAtMs, ...demands.map((demand) => agenda.dueAtMs(demand.queue)))
      if (calls.failures === 0) return atMs - now()
      const retryAtMs = outage.answeredAtMs > failedAtMs ? failedAtMs + MIN_RETRY_MS : notBeforeMs
      return Math.min(Math.max(atMs, retryAtMs) - now(), LOOK_AGAIN_MS)
    },
    /** How long this queue is not to be asked for, in milliseconds from then; 0 or less when it may be. */
    heldMs: (queue: string, atMs: number): number => agenda.heldUntilMs(queue) - atMs,
    /** The last read of the queue could not take all that was due: another need not wait for the next one's answer. */
    isDeep: (queue: string): boolean => calls.failures === 0 && agenda.isDeep(queue),
    get isFailing() {
      return calls.failures > 0
    },
    /** Some queue could not be read, for a reason that is neither its absence nor a pause. */
    get hasError() {
      return agenda.hasError
    },
    /** When there will be something to read, by all that is known; null when nothing is. */
    get nextVisibleInMs() {
      const soonestMs = Math.min(...queues.map(agenda.dueAtMs))
      return Number.isFinite(soonestMs) ? Math.max(0, soonestMs - now()) : null
    },
  }
}
