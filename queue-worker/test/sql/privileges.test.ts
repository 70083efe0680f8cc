/** Every function and table of ours, out of the catalog, tried with every role. What is added later is found here. */
import { readFile } from 'node:fs/promises'
import postgres, { type Sql } from 'postgres'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { createInspector, uniqueQueue } from '../support/queues.ts'

type Callable = {
  oid: number
  signature: string
  schema: string
  name: string
  call: string
  comment: string | null
}

const roles = ['anon', 'authenticated', 'service_role', 'queue_worker'] as const
const queue = uniqueQueue('rights')
let sql: Sql
let callables: readonly Callable[]
let tables: readonly { name: string; comment: string | null }[]

beforeAll(async () => {
  sql = postgres(inject('stack').adminUrl, { max: 1, onnotice: () => {} })
  await sql`select public.queue_worker_ensure_queue(${sql.json({ protocol: 1, queue })}::jsonb)`
  // Called with nulls, so that what is allowed answers with an error of its own and does nothing.
  callables = await sql<Callable[]>`
    select p.oid::int, format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)) as signature,
      n.nspname as schema, p.proname as name, obj_description(p.oid) as comment,
      format('select %I.%I(%s)', n.nspname, p.proname, (
        select string_agg('null::' || t::regtype, ', ' order by i) from unnest(p.proargtypes::oid[]) with ordinality a(t, i))) as call
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace
    where n.nspname = 'queue_worker' or n.nspname = 'public' and p.proname ~ '^(queue_worker|pgmq_metrics)'
      and p.proname !~ '^queue_worker_(rpc|test)_' -- what other test files make in the same database
    order by 2`
  tables = await sql`select c.relname as name, obj_description(c.oid) as comment from pg_class c
    where c.relnamespace = 'queue_worker'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') order by 1`
})
afterAll(async () => {
  await createInspector(sql).drop(queue)
  await sql.end()
})

/** The SQLSTATE a role gets for a statement; null when it is allowed. Undone in any case. */
async function stateFor(role: string, statement: string): Promise<string | null> {
  const undone = new Error('undone')
  let state: string | null = null
  await sql
    .begin(async (tx) => {
      await tx.unsafe(`set local role ${role}`)
      await tx.unsafe(statement)
      throw undone
    })
    .catch((error) => {
      if (error !== undone) state = error.code
    })
  return state
}

const isEntryPoint = ({ schema }: Callable) => schema === 'public'
const denied = '42501'

test('there is something to try', () => {
  expect(callables.filter(isEntryPoint).length).toBeGreaterThan(15)
  expect(callables.filter((callable) => !isEntryPoint(callable)).length).toBeGreaterThan(25)
  expect(tables.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['ledger', 'outcomes', 'queues', 'workers']),
  )
})

test.each(roles)('%s can call exactly what it should', async (role) => {
  for (const callable of callables) {
    const allowed = isEntryPoint(callable) && (role === 'service_role' || role === 'queue_worker')
    const state = await stateFor(role, callable.call)
    if (allowed) expect(state, callable.signature).toMatch(/^QW00[23]$/)
    else expect(state, callable.signature).toBe(denied)
    const [grant] = await sql`select has_function_privilege(${role}, ${callable.oid}::oid, 'execute') as it`
    expect(grant?.it, `grant on ${callable.signature}`).toBe(allowed)
  }
})

test.each(roles)('%s can neither see nor change any of our tables', async (role) => {
  for (const { name } of tables) {
    for (const statement of [
      `select * from queue_worker.${name}`,
      `insert into queue_worker.${name} default values`,
      `delete from queue_worker.${name} where true`,
      `truncate queue_worker.${name}`,
      `lock queue_worker.${name}`,
    ]) {
      expect(await stateFor(role, statement), `${role}: ${statement}`).toBe(denied)
    }
    const [grant] = await sql`select has_table_privilege(${role}, ${`queue_worker.${name}`}::regclass,
        'select, insert, update, delete, truncate, references, trigger') or has_any_column_privilege(${role},
        ${`queue_worker.${name}`}::regclass, 'select, insert, update, references') as it`
    expect(grant?.it, `grants on ${name}`).toBe(false)
  }
  expect(await stateFor(role, `select * from pgmq.${queue}`)).toBe(denied)
  expect(await stateFor(role, 'create table queue_worker.mine ()')).toBe(denied)
})

test('nothing is granted to everybody', async () => {
  const open =
    await sql`select p.oid::regprocedure::text as name from pg_proc p where p.oid = any (${callables.map(({ oid }) => oid)}::oid[])
    and exists (select from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a where a.grantee = 0)`
  expect(open).toEqual([])
})

test('only entry points run with their owner’s rights, and every function fixes its search path', async () => {
  const found =
    await sql`select p.oid::regprocedure::text as name, p.pronamespace = 'public'::regnamespace as is_public, p.prosecdef as definer,
      p.proconfig @> array['search_path=""'] as fixed, p.proowner::regrole::text as owner
    from pg_proc p where p.oid = any (${callables.map(({ oid }) => oid)}::oid[])`
  // A trigger on tables into which others insert, who have no rights of ours.
  const triggers = ['queue_worker.call_waker()']
  for (const { name, is_public, definer, fixed, owner } of found) {
    const expected = { definer: is_public || triggers.includes(name), fixed: true, owner: 'postgres' }
    expect({ definer, fixed, owner }, name).toEqual(expected)
  }
})

test('the anon key gets nothing over the REST interface', async () => {
  const lists = { msg_ids: [], deliveries: [], enqueued_ats: [], ran_ms: [], waited_ms: [] }
  const bodies: Record<string, object> = {
    pgmq_metrics: { queue_name: queue },
    queue_worker_finish: { request: { protocol: 1 }, ...lists },
  }
  const { url, anonKey, publishableKey } = inject('stack')
  for (const key of [anonKey, publishableKey]) {
    for (const { name, signature } of callables.filter(isEntryPoint)) {
      const body = bodies[name] ?? { request: { protocol: 1 } }
      const answer = await fetch(`${url}/rest/v1/rpc/${name}`, {
        method: 'POST',
        headers: { apikey: key, authorization: `Bearer ${key}`, 'content-type': 'application/json' },
        body: JSON.stringify(body),
      })
      expect(answer.status, signature).toBe(401)
      expect(await answer.json(), signature).toMatchObject({ code: denied })
    }
  }
  const headers = { apikey: anonKey, authorization: `Bearer ${anonKey}`, 'accept-profile': 'queue_worker' }
  expect((await fetch(`${url}/rest/v1/ledger`, { headers })).status).toBe(406)
})

test('every function and table says what it is for, here and in docs/sql.md', async () => {
  const docs = await readFile(new URL('../../../docs/sql.md', import.meta.url), 'utf8')
  for (const { name, signature, comment } of callables) {
    expect(comment?.length, `a comment on ${signature}`).toBeGreaterThan(20)
    expect(docs, 'docs/sql.md').toContain(`\`${name}\``)
  }
  for (const { name, comment } of tables) {
    expect(comment?.length, `a comment on table ${name}`).toBeGreaterThan(20)
    expect(docs, 'docs/sql.md').toContain(`\`${name}\``)
  }
})
