/** Remembers which queues cannot be read though the database answers: from the events that tell of their states. */
import type { QueueState } from '../queue/contract.ts'
import type { Listener } from './events.ts'

export type Unreadable = {
  /** For how long nothing at all could be read, in milliseconds. */
  readonly forMs: number
  /** What is the matter with the first of the queues, in words. */
  readonly reason: string
}

export type QueueWatch = {
  readonly listener: Listener
  /** Null as long as one queue can be read, or is paused, which somebody wanted. */
  unreadable(): Unreadable | null
}

export function watchQueues(queues: readonly string[], now: () => number): QueueWatch {
  const broken = new Map<string, { sinceMs: number; state: QueueState }>()
  return {
    listener: {
      queueState(state) {
        if (state.status === 'ok' || state.status === 'paused') broken.delete(state.queue)
        else broken.set(state.queue, { sinceMs: broken.get(state.queue)?.sinceMs ?? now(), state })
      },
    },
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
