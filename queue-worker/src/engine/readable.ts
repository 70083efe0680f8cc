/** Remembers how it stands with each queue, and which cannot be read though the database answers: from the events that tell of it. */
import type { QueueState, QueueStatus } from '../queue/contract.ts'
import type { Listener } from './events.ts'

export type Unreadable = {
  /** For how long nothing at all could be read, in milliseconds. */
  readonly forMs: number
  /** What is the matter with the first of the queues, in words. */
  readonly reason: string
}

export type QueueWatch = {
  readonly listener: Listener
  /** Null as long as one queue can be read, or is not to be: somebody wanted a pause, or a limit or a breaker holds it. */
  unreadable(): Unreadable | null
  states(): Readonly<Record<string, QueueStatus>>
}

export function watchQueues(queues: readonly string[], now: () => number): QueueWatch {
  const broken = new Map<string, { sinceMs: number; state: QueueState }>()
  const states = new Map<string, QueueStatus>(queues.map((queue) => [queue, 'ok']))
  return {
    listener: {
      queueState(state) {
        const { queue, status } = state
        states.set(queue, status)
        if (status !== 'missing' && status !== 'error') broken.delete(queue)
        else broken.set(queue, { sinceMs: broken.get(queue)?.sinceMs ?? now(), state })
      },
    },
    states: () => Object.fromEntries(states),
    unreadable() {
      const [first] = broken.values()
      if (first === undefined || broken.size < queues.length) return null
      const sinceMs = Math.max(...[...broken.values()].map((one) => one.sinceMs))
      const { queue, error } = first.state
      return {
        forMs: now() - sinceMs,
        // The error itself may quote a payload, and anybody may ask for this: it is in the log.
        reason: `queue ${queue} ${error === undefined ? 'does not exist' : 'cannot be read; the log says why'}`,
      }
    },
  }
}
