/** What the reader knows of each queue: in which state it is, and when there will be something to read. */
import type { QueueState } from '../queue/contract.ts'
import type { Emit } from './events.ts'
import { LATE_MS } from './pacing.ts'

export type Agenda = {
  /** Something is there to be read now; '*': in any queue. */
  inserted(queue: string): void
  /** A message becomes visible then; if others do before, that stands. */
  expect(queue: string, atMs: number): void
  /** An outcome of this queue is recorded. If it was the probe's, the database knows more than it said. */
  freed(queue: string): void
  /** A read is being sent: what was expected so far, its answer will tell. */
  asked(queue: string): void
  /** What a read said. What may not be read is not asked for again before it may, or for `patienceMs`: somebody may lift it. */
  note(state: QueueState, nowMs: number, patienceMs: number): void
  /** Until when this queue is not to be asked for; in the past when it may be. */
  heldUntilMs(queue: string): number
  /** When the next read of this queue is worth while: in the past for now, infinite for nothing known. */
  dueAtMs(queue: string): number
  /** The last read of this queue left due messages behind. */
  isDeep(queue: string): boolean
  /** No queue is missing, paused or failing: what ends that, nobody tells. */
  readonly isReadable: boolean
  /** Some queue could not be read, for a reason that is neither its absence nor a pause. */
  readonly hasError: boolean
}

/** A rate limit that is used up again so soon was not worth the word that it no longer was. */
const LULL_MS = 60_000

function isHeld({ status }: QueueState): boolean {
  return status === 'limited' || status === 'breaker_open' || status === 'breaker_half_open'
}

export function createAgenda(queues: readonly string[], emit: Emit): Agenda {
  const due = new Map<string, number>(queues.map((queue) => [queue, 0]))
  const deep = new Set<string>()
  const held = new Map<string, number>()
  const states = new Map<string, QueueState['status']>()
  const limitedAtMs = new Map<string, number>()

  function expect(queue: string, atMs: number): void {
    const known = due.get(queue)
    if (known !== undefined) due.set(queue, Math.min(known, atMs + LATE_MS))
  }

  function tell(state: QueueState, nowMs: number): void {
    const { queue, status } = state
    const before = states.get(queue) ?? 'ok'
    if (status === 'limited') limitedAtMs.set(queue, nowMs)
    const isLull = before === 'limited' && status === 'ok' && nowMs - (limitedAtMs.get(queue) ?? 0) < LULL_MS
    if (status === before || isLull) return
    states.set(queue, status)
    emit('queueState', { ...state, before })
  }

  return {
    inserted(queue) {
      if (queue === '*') for (const one of queues) due.set(one, 0)
      else if (due.has(queue)) due.set(queue, 0)
    },
    expect,
    freed(queue) {
      if (states.get(queue) !== 'breaker_half_open') return
      held.delete(queue)
      due.set(queue, 0)
    },
    asked: (queue) => void due.set(queue, Number.POSITIVE_INFINITY),
    note(state, nowMs, patienceMs) {
      tell(state, nowMs)
      if (isHeld(state) && state.nextVisibleInMs !== null) {
        held.set(state.queue, nowMs + Math.min(state.nextVisibleInMs + LATE_MS, patienceMs))
      } else held.delete(state.queue)
      if (state.nextVisibleInMs === 0) deep.add(state.queue)
      else deep.delete(state.queue)
      if (state.nextVisibleInMs !== null) expect(state.queue, nowMs + state.nextVisibleInMs)
    },
    dueAtMs: (queue) => due.get(queue) ?? Number.POSITIVE_INFINITY,
    heldUntilMs: (queue) => held.get(queue) ?? Number.NEGATIVE_INFINITY,
    isDeep: (queue) => deep.has(queue),
    get isReadable() {
      return ![...states.values()].some((one) => one === 'missing' || one === 'paused' || one === 'error')
    },
    get hasError() {
      return [...states.values()].includes('error')
    },
  }
}
