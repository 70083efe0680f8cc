/** Remembers how it stands with each queue, and which cannot be read though the database answers: from the events that tell of it. */
import type { QueueState, QueueStatus } from '../queue/contract.ts'
import type { Listener } from './events.ts'
import type { PartHealth } from './part-health.ts'

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
  parts(): PartHealth[]
}

/** What is said of a queue that is not simply read. Errors may quote a payload, and anybody may ask for this: they are in the log. */
const WORDS: Readonly<Record<Exclude<QueueStatus, 'ok' | 'limited'>, string>> = {
  paused: 'paused for all workers',
  missing: 'does not exist',
  error: 'cannot be read; the log says why',
  breaker_open: 'what it depends on refuses everybody: its breaker is open',
  breaker_half_open: 'its breaker is half open: one message finds out whether what it depends on is back',
}

export function watchQueues(queues: readonly string[], now: () => number): QueueWatch {
  const broken = new Map<string, { sinceMs: number; state: QueueState }>()
  const states = new Map<string, { status: QueueStatus; sinceMs: number }>(
    queues.map((queue) => [queue, { status: 'ok', sinceMs: now() }]),
  )
  return {
    listener: {
      queueState(state) {
        const { queue, status } = state
        states.set(queue, { status, sinceMs: now() })
        if (status !== 'missing' && status !== 'error') broken.delete(queue)
        else broken.set(queue, { sinceMs: broken.get(queue)?.sinceMs ?? now(), state })
      },
    },
    states: () => Object.fromEntries([...states].map(([queue, { status }]) => [queue, status])),
    parts: () =>
      [...states].map(([queue, { status, sinceMs }]): PartHealth => {
        const part = `queue ${queue}`
        // A limit that is used up is how limits work.
        if (status === 'ok' || status === 'limited') return { part, state: 'ok', forMs: 0, error: null }
        const state = status === 'missing' || status === 'error' ? 'down' : 'degraded'
        return { part, state, forMs: now() - sinceMs, error: WORDS[status] }
      }),
    unreadable() {
      const [first] = broken.values()
      if (first === undefined || broken.size < queues.length) return null
      const sinceMs = Math.max(...[...broken.values()].map((one) => one.sinceMs))
      const { queue, error } = first.state
      return {
        forMs: now() - sinceMs,
        reason: `queue ${queue} ${error === undefined ? WORDS.missing : WORDS.error}`,
      }
    },
  }
}
