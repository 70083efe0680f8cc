/** What the server runs out of, and gets back: a disk that is full for one queue, connections for one transport. */
import type { Sql } from 'postgres'
import { QUEUES } from './kinds.ts'

const LOGINS = { rpc: 'authenticator', postgres: 'postgres' } as const
/** A queue's table that is locked must not keep every other call waiting behind this one. */
const LOCK_LIMIT = '2s'

export type Shortages = {
  /** Every write to the queue's tables, but for deletions, fails as it does on a full disk (SQLSTATE 53100). */
  fillDisk(queue: string): Promise<void>
  freeDisk(queue: string): Promise<void>
  /** Cuts the sessions of a transport's login and lets none in (SQLSTATE 53300), producers included. */
  refuseConnections(transport: string): Promise<void>
  allowConnections(transport: string): Promise<void>
  cutConnections(transport: string): Promise<void>
  /** Everything is there again. */
  endAll(): Promise<void>
}

/** `sql` is a superuser's: it is not counted, and not cut. */
export function createShortages(sql: Sql): Shortages {
  const login = (transport: string) => sql(transport === 'rpc' ? LOGINS.rpc : LOGINS.postgres)

  async function freeDisk(queue: string): Promise<void> {
    await sql.begin(async (tx) => {
      await tx`select set_config('lock_timeout', ${LOCK_LIMIT}, true)`
      await tx`drop function if exists ${tx(`soak.disk_${queue}`)} cascade`
    })
  }
  async function allowConnections(transport: string): Promise<void> {
    await sql`alter role ${login(transport)} connection limit -1`
  }
  async function cutConnections(transport: string): Promise<void> {
    const isTheirs =
      transport === 'rpc'
        ? sql`usename = 'authenticator'`
        : sql`application_name = 'queue-worker' and usename = 'postgres'`
    await sql`select pg_terminate_backend(pid) from pg_stat_activity where ${isTheirs}`
  }

  return {
    async fillDisk(queue) {
      await sql.begin(async (tx) => {
        const fault = tx(`soak.disk_${queue}`)
        await tx`select set_config('lock_timeout', ${LOCK_LIMIT}, true)`
        await tx`create function ${fault}() returns trigger language plpgsql as
          $$ begin raise exception 'No space left on device' using errcode = '53100'; end $$`
        for (const table of [`pgmq.q_${queue}`, `pgmq.a_${queue}`, `pgmq.q_${queue}_dlq`]) {
          await tx`create trigger soak_disk before insert or update on ${tx(table)}
            for each row execute function ${fault}()`
        }
      })
    },
    freeDisk,
    async refuseConnections(transport) {
      await sql`alter role ${login(transport)} connection limit 0`
      await cutConnections(transport)
    },
    allowConnections,
    cutConnections,
    async endAll() {
      for (const transport of Object.keys(LOGINS)) await allowConnections(transport)
      for (const queue of Object.values(QUEUES)) await freeDisk(queue)
    },
  }
}
