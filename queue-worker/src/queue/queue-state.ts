/** What is known of a queue besides its messages: whether it may be read, and what is in it. */
import type { RateLimit } from '../utils/rate-limit.ts'

/**
 * limited: the rate limit is used up and messages are due. breaker_open: nothing is given out until the breaker has been open for its
 * time. breaker_half_open: after that one message at a time is, the probe, until one succeeds.
 */
export type QueueStatus =
  | 'ok'
  | 'paused'
  | 'missing'
  | 'error'
  | 'limited'
  | 'breaker_open'
  | 'breaker_half_open'

/** What a read found out about one queue besides its messages. */
export type QueueState = {
  readonly queue: string
  readonly status: QueueStatus
  /**
   * When the soonest hidden message becomes visible, from now; null: none is hidden; 0: due ones may be left. While a rate limit or a
   * breaker holds the queue: when something may be given out again.
   */
  readonly nextVisibleInMs: number | null
  readonly error?: string
  /** Set while it is not closed. */
  readonly breaker?: Breaker
}

/** A breaker that is not closed. */
export type Breaker = {
  readonly state: 'open' | 'half_open'
  /** Why it tripped last, in the words of the error. */
  readonly reason: string
  /** How often in a row. */
  readonly trips: number
}

/** Why and for how long the breaker of a queue is to open. */
export type Trip = { readonly reason: string; readonly retryAfterMs?: number }

/** What may keep the messages of a queue from being read. */
export type Held = {
  readonly paused: boolean
  /** Null: none. `left` is how many deliveries it allows at this moment. */
  readonly rateLimit: (RateLimit & { readonly left: number }) | null
  /** Null: closed. */
  readonly breaker: Breaker | null
}

export type QueueCounts = Held & {
  readonly queue: string
  readonly ready: number
  readonly hidden: number
  readonly dead: number
  readonly oldestReadySeconds: number | null
}
