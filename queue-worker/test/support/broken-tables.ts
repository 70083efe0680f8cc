/** Tables whose writes fail with an error of the server's: what a full disk or a lack of memory looks like to a call. */
import type { Sql } from 'postgres'
import type { Side } from './fault-sides.ts'

type Struck = Pick<Side, 'kind' | 'queue'>

export type Broken = {
  readonly table: (side: Struck) => string
  readonly when: 'delete' | 'update' | 'insert'
}

/** Lets writes fail with this SQLSTATE and text from now on; call what is returned to repair them. */
export async function breakTables(
  sql: Sql,
  sides: readonly Struck[],
  { table, when }: Broken,
  state: string,
  said: string,
): Promise<() => Promise<unknown>> {
  // All of them or, should one fail, none.
  await sql.begin(async (breaking) => {
    await breaking.unsafe(`create function public.fault() returns trigger language plpgsql as
      $$ begin raise exception '${said}' using errcode = '${state}'; end $$`)
    for (const side of sides) {
      // Of a table that all queues share, only what is written for this one.
      const only = table(side) === 'queue_worker.outcomes' ? `when (new.queue = '${side.queue}')` : ''
      await breaking.unsafe(`create trigger fault_${side.kind} before ${when} on ${table(side)}
        for each row ${only} execute function public.fault()`)
    }
  })
  return async () => sql`drop function public.fault cascade`
}
