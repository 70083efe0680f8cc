/** Mistakes built into the SQL of a database of its own, to see that the model notices them. */
import type { Sql } from 'postgres'

export type Mutation = {
  readonly name: string
  /** The function of schema queue_worker that gets the mistake. */
  readonly target: string
  readonly from: RegExp
  readonly to: string
}

export const mutations: readonly Mutation[] = [
  {
    name: 'the fence does not look at the number of the delivery',
    target: 'lock_deliveries',
    from: /\s+and i\.delivery = l\.read_ct/,
    to: '',
  },
  {
    name: 'the fence does not look at outcomes',
    target: 'lock_deliveries',
    from: /(select 1 from queue_worker\.outcomes o\s+where) /,
    to: '$1 false and ',
  },
  {
    name: 'a heartbeat shortens a lease',
    target: 'extend_queue',
    from: /greatest\(\s*m\.vt\s*,/,
    to: 'greatest(',
  },
  {
    name: 'a run alone that ended well counts as a death',
    target: 'history',
    from: /i\.delivery is not null and o\.outcome is null/,
    to: 'i.delivery is not null',
  },
  {
    name: 'a redriven message gets a new origin key',
    target: 'redrive',
    from: /null,\s*letter\.message -> 'dead_letter' ->> 'origin_key'/,
    to: 'null, null',
  },
]

/** Builds the mistake in while `body` runs. Throws when the function no longer has the place for it. */
export async function withMutation<T>(sql: Sql, mutation: Mutation, body: () => Promise<T>): Promise<T> {
  const [row] = await sql`select pg_get_functiondef(p.oid) as source from pg_catalog.pg_proc p
    where p.pronamespace = 'queue_worker'::regnamespace and p.proname = ${mutation.target}`
  const source = String(row?.source)
  const mutated = source.replace(mutation.from, mutation.to)
  if (mutated === source)
    throw new Error(`this mutation does not fit the function any more: ${mutation.name}`)
  await sql.unsafe(mutated)
  try {
    return await body()
  } finally {
    await sql.unsafe(source)
  }
}
