/** How the demo's messages ended, as the queues tell it: asked of the database, as anybody could. */
import type { Sql } from 'postgres'
import { sleep } from '../utils/sleep.ts'
import type { DemoMessage, DemoQueue } from './demo-messages.ts'
import type { Scene } from './demo-scene.ts'

/** A message in its queue. */
export type Sent = Omit<DemoMessage, 'payload'> & { readonly id: string }

export type Ending = {
  readonly id: string
  /** waiting: it is in its queue still, and was tried. */
  readonly state: 'archived' | 'dead' | 'waiting'
  /** Those that only waited for a server do not count. */
  readonly attempts: number
  readonly deliveries: number
  /** Null while it waits. */
  readonly ms: number | null
  readonly reason: string | null
  readonly error: string | null
  readonly originKey: string
}

export type Endings = {
  /** That of a message; undefined while it was not tried. */
  of(sent: Pick<Sent, 'queue' | 'id'>): Ending | undefined
}

/** So much longer than it takes that only something broken takes it. */
const LIMIT_MS = 100_000
const LOOK_MS = 100

/**
 * Looks until all of them are over; `isWhole` is false when the signal came, or the limit has passed, before. Without a broker,
 * waiting for one is an end.
 */
export async function endingsOf(
  { sql, prefix, inbox }: Pick<Scene, 'sql' | 'prefix' | 'inbox'>,
  sent: readonly Sent[],
  signal: AbortSignal,
): Promise<Endings & { readonly isWhole: boolean }> {
  const isOver = ({ state }: Ending, queue: DemoQueue) =>
    state !== 'waiting' || (queue === 'amqp' && typeof inbox === 'string')
  const giveUpMs = performance.now() + LIMIT_MS
  const queues = [...new Set(sent.map(({ queue }) => queue))]
  for (;;) {
    const found = new Map<string, Ending>()
    for (const queue of queues) {
      const ids = sent.filter((one) => one.queue === queue).map(({ id }) => id)
      for (const ending of await look(sql, `${prefix}${queue}`, ids))
        found.set(`${queue} ${ending.id}`, ending)
    }
    const of = ({ queue, id }: Pick<Sent, 'queue' | 'id'>) => found.get(`${queue} ${id}`)
    const areOver = sent.every((one) => {
      const ending = of(one)
      return ending !== undefined && isOver(ending, one.queue)
    })
    if (areOver || signal.aborted || performance.now() > giveUpMs)
      return { of, isWhole: areOver && !signal.aborted }
    await sleep(LOOK_MS, signal)
  }
}

function look(sql: Sql, queue: string, ids: readonly string[]): Promise<Ending[]> {
  const outcomes = sql`queue_worker.outcomes o where o.queue = ${queue} and o.msg_id = m.msg_id and o.enqueued_at = m.enqueued_at`
  const failures = sql`(select count(*)::int from ${outcomes} and o.outcome = 'retry')`
  const key = sql`queue_worker.origin_key(${queue}, m.msg_id, m.enqueued_at)`
  return sql<Ending[]>`
    select m.msg_id::text as id, 'archived' as state, 1 + ${failures} as attempts, m.read_ct as deliveries,
      extract(epoch from m.archived_at - m.enqueued_at)::float8 * 1000 as ms, null as reason, null as error, ${key} as "originKey"
    from pgmq.${sql(`a_${queue}`)} m where m.msg_id = any (${ids}::bigint[])
    union all
    select m.msg_id::text, 'waiting', ${failures}, m.read_ct, null, null, null, ${key}
    from pgmq.${sql(`q_${queue}`)} m where m.msg_id = any (${ids}::bigint[]) and exists (select from ${outcomes})
    union all
    select l ->> 'msg_id', 'dead', (l ->> 'attempts')::int, (l ->> 'deliveries')::int,
      extract(epoch from (l ->> 'dead_at')::timestamptz - (l ->> 'enqueued_at')::timestamptz)::float8 * 1000,
      l ->> 'reason', l ->> 'error', l ->> 'origin_key'
    from (select d.message -> 'dead_letter' as l from pgmq.${sql(`q_${queue}_dlq`)} d) d
    where (l ->> 'msg_id')::bigint = any (${ids}::bigint[])`
}
