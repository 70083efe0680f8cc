/**
 * What nearly every settle is: all of it succeeded, in one queue. As columns, which cost the server half as much as one object for each
 * message, it goes to an entry point of its own; whatever is odd about a request is for the other one to say.
 */

export type PlainSettle = {
  readonly request: {
    readonly protocol: unknown
    readonly worker_id: unknown
    readonly queue: string
    readonly outcome: string
  }
  readonly msg_ids: readonly string[]
  readonly deliveries: readonly number[]
  readonly enqueued_ats: readonly string[]
  readonly ran_ms: readonly (number | null)[]
  readonly waited_ms: readonly (number | null)[]
}

type Settlement = {
  readonly queue: string
  readonly outcome: string
  readonly msg_id: string
  readonly delivery: number
  readonly enqueued_at: string
  readonly ran_ms?: number | undefined
  readonly waited_ms?: number | undefined
  readonly sends?: readonly unknown[] | undefined
  readonly breaker?: unknown
}

/** The request of a call to `settle` in columns; null when it is not plain. */
export function plainSettle(entryPoint: string, request: unknown): PlainSettle | null {
  if (entryPoint !== 'settle') return null
  const { protocol, worker_id, settlements } = request as {
    protocol: unknown
    worker_id: unknown
    settlements?: readonly Settlement[]
  }
  const first = Array.isArray(settlements) ? settlements[0] : undefined
  if (settlements === undefined || first === undefined || !settlements.every((one) => isPlain(one, first)))
    return null
  return {
    request: { protocol, worker_id, queue: first.queue, outcome: first.outcome },
    msg_ids: settlements.map((one) => one.msg_id),
    deliveries: settlements.map((one) => one.delivery),
    enqueued_ats: settlements.map((one) => one.enqueued_at),
    ran_ms: settlements.map((one) => one.ran_ms ?? null),
    waited_ms: settlements.map((one) => one.waited_ms ?? null),
  }
}

function isPlain(one: Settlement, first: Settlement): boolean {
  return (
    (one.outcome === 'archive' || one.outcome === 'delete') &&
    one.queue === first.queue &&
    one.outcome === first.outcome &&
    !one.sends?.length &&
    one.breaker === undefined &&
    /^\d{1,18}$/.test(one.msg_id) &&
    Number.isInteger(one.delivery) &&
    typeof one.enqueued_at === 'string'
  )
}

const OK = { status: 'ok' }

/** The answer in the form of `settle`'s: null means that all went well. */
export function plainAnswer({ msg_ids }: PlainSettle, answer: unknown): unknown {
  return answer === null ? msg_ids.map(() => OK) : answer
}
