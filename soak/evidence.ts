/** What the database says when all is over: where each message lies, what is recorded of it, what took effect. */
import type { Sql } from 'postgres'
import { type Kind, QUEUES } from './kinds.ts'

export type Resting = {
  readonly n: number
  readonly kind: Kind
  readonly queue: string
  readonly msgId: string
  readonly where: 'archive' | 'dead' | 'queue'
  /** How often it was read. */
  readonly deliveries: number
  readonly reason?: string
  readonly error?: string
}
export type Recorded = {
  readonly queue: string
  readonly msgId: string
  readonly delivery: number
  readonly outcome: 'retry' | 'release' | 'snooze' | 'dead'
}
export type Evidence = {
  /** Numbers of the orders that were committed: each has its message, or one was lost. */
  readonly orders: readonly number[]
  readonly resting: readonly Resting[]
  readonly outcomes: readonly Recorded[]
  /** One entry for each effect of a transaction that was committed. */
  readonly effects: readonly number[]
  /** Deletions that settles counted. */
  readonly deleted: number
}

/** The tables the soak itself needs: an application's orders, and the effects of transactions. */
export async function createTables(sql: Sql): Promise<void> {
  await sql`create schema soak`
  await sql`create table soak.orders (n int primary key)`
  await sql`create table soak.effects (id bigserial primary key, n int not null, origin_key text not null)`
  for (const queue of Object.values(QUEUES)) await sql`select queue_worker.ensure_queue(${queue}, true)`
}

export async function gatherEvidence(sql: Sql): Promise<Evidence> {
  const resting: Resting[] = []
  for (const queue of Object.values(QUEUES)) {
    resting.push(
      ...(await sql<Resting[]>`
        select (message ->> 'n')::int as n, message ->> 'kind' as kind, ${queue} as queue, msg_id::text as "msgId",
          'archive' as "where", read_ct as deliveries from ${sql(`pgmq.a_${queue}`)}
        union all
        select (message ->> 'n')::int, message ->> 'kind', ${queue}, msg_id::text, 'queue', read_ct
        from ${sql(`pgmq.q_${queue}`)}`),
      ...(await sql<Resting[]>`
        select (message -> 'message' ->> 'n')::int as n, message -> 'message' ->> 'kind' as kind, ${queue} as queue,
          message -> 'dead_letter' ->> 'msg_id' as "msgId", 'dead' as "where",
          (message -> 'dead_letter' ->> 'deliveries')::int as deliveries,
          message -> 'dead_letter' ->> 'reason' as reason, left(message -> 'dead_letter' ->> 'error', 300) as error
        from ${sql(`pgmq.q_${queue}_dlq`)}`),
    )
  }
  const outcomes = await sql<Recorded[]>`
    select queue, msg_id::text as "msgId", delivery, outcome from queue_worker.outcomes order by recorded_at`
  const orders = await sql<{ n: number }[]>`select n from soak.orders order by n`
  const effects = await sql<{ n: number }[]>`select n from soak.effects order by id`
  const [stats] = await sql`select coalesce(sum(deleted), 0)::int as deleted from queue_worker.stats`
  return {
    orders: orders.map(({ n }) => n),
    resting,
    outcomes: [...outcomes],
    effects: effects.map(({ n }) => n),
    deleted: Number(stats?.deleted),
  }
}

export type Counts = { readonly done: number; readonly waiting: number; readonly dead: number }

/** For the line of progress. Throws when the database is away or a table is locked. */
export async function countNow(sql: Sql): Promise<Counts> {
  return sql.begin(async (tx) => {
    await tx`set local lock_timeout = '300ms'`
    const names = Object.values(QUEUES)
    const sum = (prefix: string, suffix = '') =>
      names.map((queue) => `(select count(*) from pgmq.${prefix}_${queue}${suffix})`).join(' + ')
    const [row] =
      await tx.unsafe(`select ${sum('a')} + (select coalesce(sum(deleted), 0) from queue_worker.stats) as done,
      ${sum('q')} as waiting, ${sum('q', '_dlq')} as dead`)
    return { done: Number(row?.done), waiting: Number(row?.waiting), dead: Number(row?.dead) }
  })
}
