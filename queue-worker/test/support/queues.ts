/** Queues of a test's own in a shared database, and a look at what is really in their tables. */
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Sql } from 'postgres'

/** A queue name nobody else uses. */
export function uniqueQueue(prefix = 't'): string {
  return `${prefix}_${randomBytes(8).toString('hex')}`
}

export type StoredMessage = {
  msg_id: string
  read_ct: number
  enqueued_at: Date
  vt: Date
  message: unknown
  headers?: unknown
}

/** Looks at tables as they are, whatever the transport under test says. */
export function createInspector(sql: Sql) {
  const table = (prefix: 'q' | 'a', queue: string) => sql`${sql(`pgmq.${prefix}_${queue}`)}`
  const rows = (prefix: 'q' | 'a', queue: string) =>
    sql<StoredMessage[]>`select * from ${table(prefix, queue)} order by msg_id`
  return {
    table,
    messages: (queue: string) => rows('q', queue),
    archived: (queue: string) => rows('a', queue),
    async deadLetters(queue: string): Promise<(Omit<StoredMessage, 'message'> & { message: Envelope })[]> {
      const letters = await rows('q', `${queue}_dlq`)
      return letters.map((letter) => ({ ...letter, message: letter.message as Envelope }))
    },
    outcomes: (queue: string) =>
      sql<{ msg_id: string; delivery: number; outcome: string; error: string | null }[]>`
        select msg_id, delivery, outcome, error from queue_worker.outcomes where queue = ${queue} order by msg_id, delivery`,
    /** Everything there is about a queue, for "nothing changed". Times as text, so that microseconds count. */
    async snapshot(queue: string): Promise<unknown> {
      const [state] = await sql`
        select (select json_agg(q order by msg_id) from ${table('q', queue)} q) as queue,
          (select json_agg(a order by msg_id) from ${table('a', queue)} a) as archive,
          (select json_agg(d order by msg_id) from ${table('q', `${queue}_dlq`)} d) as dead,
          (select json_agg(o order by msg_id, delivery) from queue_worker.outcomes o where o.queue = ${queue}) as outcomes`
      return state
    },
    /** Makes all hidden messages of a queue visible, as if their visibility timeout had run out. */
    expire: (queue: string) =>
      sql`update ${table('q', queue)} set vt = clock_timestamp() where vt > clock_timestamp()`,
    /** Lets time pass for the rate limit and the breaker of a queue. */
    async pass(queue: string, seconds: number): Promise<void> {
      await sql`update queue_worker.grants set granted_at = granted_at - make_interval(secs => ${seconds}) where queue = ${queue}`
      await sql`update queue_worker.queues set breaker_until = breaker_until - make_interval(secs => ${seconds}) where queue = ${queue}`
    },
    drop: async (queue: string) => {
      await sql`select pgmq.drop_queue(x.queue_name) from pgmq.list_queues() x
        where x.queue_name in (${queue}, ${`${queue}_dlq`})`
      await sql.unsafe(`drop view if exists pgmq."${queue}"`)
    },
  }
}

export type Inspector = ReturnType<typeof createInspector>

export type Envelope = {
  message: unknown
  headers: unknown
  dead_letter: Record<string, unknown>
}

/** Waits until some session waits for a lock that this backend holds; so a claimed race really happens. */
export async function untilBlockedBy(sql: Sql, pid: number): Promise<void> {
  const giveUp = performance.now() + 60_000
  for (;;) {
    const [row] =
      await sql`select count(*)::int as waiting from pg_stat_activity where ${pid} = any (pg_blocking_pids(pid))`
    if (row?.waiting > 0) return
    if (performance.now() > giveUp) throw new Error(`nobody waits for backend ${pid}`)
    await sleep(10)
  }
}
