/** What is in the queues, for a test to look at. */
import type { Sql } from 'postgres'

export type Waiting = {
  readonly msgId: string
  readonly payload: unknown
  readonly headers: Readonly<Record<string, unknown>> | null
  /** Not before then. */
  readonly visibleAt: Date
  /** How often it was delivered so far. */
  readonly deliveries: number
}

export type Archived = Omit<Waiting, 'visibleAt'>

export function createLook(sql: Sql) {
  return {
    /** What is in the queue, due or not. */
    waiting: async (queue: string): Promise<Waiting[]> =>
      (
        await sql`select msg_id::text as "msgId", message as payload, headers, vt as "visibleAt", read_ct as deliveries
          from ${sql(`pgmq.q_${queue}`)} q order by q.msg_id`
      ).map((row) => ({ ...row }) as Waiting),
    archived: async (queue: string): Promise<Archived[]> =>
      (
        await sql`select msg_id::text as "msgId", message as payload, headers, read_ct as deliveries
          from ${sql(`pgmq.a_${queue}`)} a order by a.msg_id`
      ).map((row) => ({ ...row }) as Archived),
    /** Empties all queues, archives and records. */
    async reset(): Promise<void> {
      const tables = await sql<{ name: string }[]>`
        select format('%I.%I', schemaname, tablename) as name from pg_tables
        where schemaname = 'pgmq' and tablename ~ '^[qa]_' or schemaname = 'queue_worker' and tablename <> 'migrations'`
      await sql.unsafe(`truncate ${tables.map(({ name }) => name).join(', ')} restart identity cascade`)
    },
  }
}
