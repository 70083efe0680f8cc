import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { createClient } from '@supabase/supabase-js'
import postgres, { type Sql } from 'postgres'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { signJwt } from '../../src/embedded/keys.ts'
import { type TestStack, testStack } from '../support/stack.ts'

describe.each([18, 17] as const)('the stack with PostgreSQL %i', (postgresMajor) => {
  let stack: TestStack
  let sql: Sql

  beforeAll(async () => {
    stack = await testStack({ postgresMajor })
    sql = postgres(stack.databaseUrl, { max: 1, onnotice: () => {} })
    await sql.unsafe(`
      create function public.test_roundtrip(message jsonb) returns jsonb language plpgsql security definer
      set search_path = '' as $$
      declare id bigint; got jsonb;
      begin
        if to_regclass('pgmq.q_roundtrip') is null then perform pgmq.create('roundtrip'); end if;
        select s into id from pgmq.send('roundtrip', message) s;
        select r.message into got from pgmq.read('roundtrip'::text, 30, 1) r;
        perform pgmq.archive('roundtrip'::text, id);
        return jsonb_build_object('id', id, 'message', got);
      end $$;
      revoke execute on function public.test_roundtrip from public, anon, authenticated;
      create function public.test_role() returns text language sql as 'select current_user::text';
      create function public.test_sleep(seconds float) returns text language sql as
        $$ select current_setting('statement_timeout') from pg_sleep(seconds) $$;
    `)
    await vi.waitFor(async () => expect((await rpc('test_role', stack.secretKey)).status).toBe(200), 20_000)
  })
  afterAll(async () => {
    await sql?.end()
    await stack?.dispose()
  })

  async function rpc(
    name: string,
    apikey?: string,
    body: unknown = {},
    headers: Record<string, string> = {},
  ) {
    const answer = await fetch(`${stack.url}/rest/v1/rpc/${name}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(apikey ? { apikey } : {}), ...headers },
      body: JSON.stringify(body),
    })
    return { status: answer.status, body: JSON.parse(await answer.text()) }
  }

  test('it is that version, and pgmq 1.11 with its functions', async () => {
    const [row] = await sql`select current_setting('server_version_num')::int / 10000 as major`
    expect(row?.major).toBe(postgresMajor)
    expect(
      await sql`select from pg_proc where pronamespace = 'pgmq'::regnamespace and proname = 'send_topic'`,
    ).not.toHaveLength(0)
    const extensions = await sql`select extversion, extowner::regrole::text as owner from pg_extension
      where extname = 'pgmq'`
    if (postgresMajor === 18) expect(extensions).toEqual([{ extversion: '1.11.1', owner: 'postgres' }])
    else expect(extensions).toEqual([])
  })

  test('a message makes its round trip through the gateway with each of the keys of service_role', async () => {
    for (const key of [stack.secretKey, stack.serviceRoleKey]) {
      const { status, body } = await rpc('test_roundtrip', key, { message: { hello: 'wörld' } })
      expect({ status, body }).toEqual({
        status: 200,
        body: { id: expect.any(Number), message: { hello: 'wörld' } },
      })
    }
  })

  test('supabase-js works with the secret key', async () => {
    const client = createClient(stack.url, stack.secretKey, { auth: { persistSession: false } })
    expect(await client.rpc('test_role')).toMatchObject({ data: 'service_role', error: null })
    expect(await client.rpc('no_such_function')).toMatchObject({ error: { code: 'PGRST202' } })
  })

  test('each key gets its role, and a token in Authorization goes before the key', async () => {
    const { jwtSecret } = JSON.parse(await readFile(join(stack.directory, 'stack.json'), 'utf8')).secrets
    const token = signJwt({ role: 'authenticated', exp: Math.floor(Date.now() / 1000) + 600 }, jwtSecret)
    expect((await rpc('test_role', stack.secretKey)).body).toBe('service_role')
    expect((await rpc('test_role', stack.serviceRoleKey)).body).toBe('service_role')
    expect((await rpc('test_role', stack.publishableKey)).body).toBe('anon')
    expect((await rpc('test_role', stack.anonKey)).body).toBe('anon')
    const authorization = `Bearer ${token}`
    expect((await rpc('test_role', stack.publishableKey, {}, { authorization })).body).toBe('authenticated')
  })

  test('anon may not call what was revoked, and no key, a wrong key or a forged token opens nothing', async () => {
    for (const key of [stack.anonKey, stack.publishableKey]) {
      const { status, body } = await rpc('test_roundtrip', key, { message: {} })
      expect([status, body.code]).toEqual([401, '42501'])
    }
    expect(await rpc('test_role')).toMatchObject({
      status: 401,
      body: { message: 'No API key found in request' },
    })
    expect(await rpc('test_role', 'sb_secret_wrong')).toMatchObject({
      status: 401,
      body: { message: 'Invalid API key' },
    })
    const forged = signJwt({ role: 'service_role' }, 'some other secret which is long enough, too')
    const authorization = `Bearer ${forged}`
    expect((await rpc('test_role', stack.anonKey, {}, { authorization })).status).toBe(401)
    expect((await fetch(`${stack.url}/auth/v1/health`)).status).toBe(404)
  })

  test("the roles are Supabase's: attributes, memberships and time limits", async () => {
    const roles = await sql`
      select rolname, rolsuper, rolcanlogin, rolinherit, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication
      from pg_roles where rolname !~ '^pg_'`
    const attributes = (name: string) => {
      const { rolname: _, ...flags } = roles.find(({ rolname }) => rolname === name) ?? {}
      return Object.keys(flags).filter((flag) => flags[flag])
    }
    const all = [
      'rolcanlogin',
      'rolinherit',
      'rolbypassrls',
      'rolcreaterole',
      'rolcreatedb',
      'rolreplication',
    ]
    expect(attributes('postgres')).toEqual(all)
    expect(attributes('supabase_admin')).toContain('rolsuper')
    expect(attributes('anon')).toEqual([])
    expect(attributes('authenticated')).toEqual([])
    expect(attributes('service_role')).toEqual(['rolbypassrls'])
    expect(attributes('authenticator')).toEqual(['rolcanlogin'])

    const members = await sql`select roleid::regrole::text as role, admin_option from pg_auth_members
      where member = 'postgres'::regrole order by 1`
    expect(members).toEqual(
      expect.arrayContaining(
        ['anon', 'authenticated', 'service_role', 'pg_monitor'].map((role) => ({ role, admin_option: true })),
      ),
    )
    const settings = await sql`select setrole::regrole::text as role, unnest(setconfig) as setting
      from pg_db_role_setting`
    expect(settings).toEqual(
      expect.arrayContaining([
        { role: 'anon', setting: 'statement_timeout=3s' },
        { role: 'authenticated', setting: 'statement_timeout=8s' },
        { role: 'authenticator', setting: 'statement_timeout=8s' },
        { role: 'authenticator', setting: 'lock_timeout=8s' },
        { role: '-', setting: 'statement_timeout=2min' },
      ]),
    )
    expect((await sql`show statement_timeout`)[0]?.statement_timeout).toBe('2min')
  })

  test('the time limits hold over REST: 8 s for service_role, and anon is cut off at 3 s', async () => {
    expect((await rpc('test_sleep', stack.secretKey, { seconds: 0 })).body).toBe('8s')
    const { status, body } = await rpc('test_sleep', stack.anonKey, { seconds: 30 })
    expect([status, body.code]).toEqual([500, '57014'])
  })

  test('postgres, no superuser, owns pgmq and so can make, use and drop queues', async () => {
    const [schema] =
      await sql`select nspowner::regrole::text as owner from pg_namespace where nspname = 'pgmq'`
    expect(schema?.owner).toBe('postgres')
    const strangers = await sql`
      select proname from pg_proc where pronamespace = 'pgmq'::regnamespace and proowner <> 'postgres'::regrole
      union all
      select relname from pg_class where relnamespace = 'pgmq'::regnamespace and relowner <> 'postgres'::regrole`
    expect(strangers).toEqual([])
    await sql`select pgmq.create('owned')`
    await sql`create view pgmq.owned as select * from pgmq.q_owned`
    await sql`drop view pgmq.owned`
    expect(await sql`select pgmq.drop_queue('owned'::text) as dropped`).toEqual([{ dropped: true }])
    await expect(sql`alter system set work_mem = '1MB'`).rejects.toThrow(/permission denied/)
  })

  test('a new function is served over REST without a word to PostgREST, as on Supabase', async () => {
    await sql`create function public.test_later() returns int language sql as 'select 7'`
    await vi.waitFor(
      async () => expect(await rpc('test_later', stack.secretKey)).toEqual({ status: 200, body: 7 }),
      20_000,
    )
  })

  test('it writes durably, listens on this machine only, and keeps its secrets to its owner', async () => {
    const admin = postgres(stack.adminUrl, { max: 1 })
    const [settings] =
      await admin`select current_setting('fsync') as fsync, current_setting('synchronous_commit')
      as commit, current_setting('listen_addresses') as addresses, current_setting('max_connections') as connections`
    await admin.end()
    expect(settings).toEqual({ fsync: 'on', commit: 'on', addresses: '127.0.0.1', connections: '100' })
    expect((await stat(join(stack.directory, 'stack.json'))).mode & 0o777).toBe(0o600)
  })
})
