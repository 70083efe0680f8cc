/** What the reader knows of each queue: in which state it is, and when there will be something to read. */
import type { QueueState } from '../queue/contract.ts'
import type { Emit } from './events.ts'
import { LATE_MS } from './pacing.ts'

export type Agenda = {
  /** Something is there to be read now; '*': in any queue. */
  inserted(queue: string): void
  /** A message becomes visible then; if others do before, that stands. */
  expect(queue: string, atMs: number): void
  /** A read is being sent: what was expected so far, its answer will tell. */
  asked(queue: string): void
  /** What a read said. */
  note(state: QueueState, nowMs: number): void
  /** When the next read of this queue is worth while: in the past for now, infinite for nothing known. */
  dueAtMs(queue: string): number
  /** The last read of this queue left due messages behind. */
  isDeep(queue: string): boolean
  /** No queue is missing, paused or failing. */
  readonly isReadable: boolean
  /** Some queue could not be read, for a reason that is neither its absence nor a pause. */
  readonly hasError: boolean
}

export function createAgenda(queues: readonly string[], emit: Emit): Agenda {
  const due = new Map<string, number>(queues.map((queue) => [queue, 0]))
  const deep = new Set<string>()
  const states = new Map<string, QueueState['status']>()

  function expect(queue: string, atMs: number): void {
    const known = due.get(queue)
    if (known !== undefined) due.set(queue, Math.min(known, atMs + LATE_MS))
  }

  return {
    inserted(queue) {
      if (queue === '*') for (const one of queues) due.set(one, 0)
      else if (due.has(queue)) due.set(queue, 0)
    },
    expect,
    asked: (queue) => void due.set(queue, Number.POSITIVE_INFINITY),
    note(state, nowMs) {
      if ((states.get(state.queue) ?? 'ok') !== state.status) emit('queueState', state)
      states.set(state.queue, state.status)
      if (state.nextVisibleInMs === 0) deep.add(state.queue)
      else deep.delete(state.queue)
      if (state.nextVisibleInMs !== null) expect(state.queue, nowMs + state.nextVisibleInMs)
    },
    dueAtMs: (queue) => due.get(queue) ?? Number.POSITIVE_INFINITY,
    isDeep: (queue) => deep.has(queue),
    get isReadable() {
      return [...states.values()].every((status) => status === 'ok')
    },
    get hasError() {
      return [...states.values()].includes('error')
    },
  }
}
