import postgres from 'postgres'
import { afterAll, afterEach, beforeAll, describe, expect, inject, test, vi } from 'vitest'
import type { Transport } from '../../src/queue/contract.ts'
import { connectPostgres, type PostgresOptions } from '../../src/services/postgres.ts'
import { failureOf } from '../support/failure.ts'
import { startProxy } from '../support/proxy.ts'

const stack = inject('stack')
const { port: serverPort } = new URL(stack.databaseUrl)
const admin = postgres(stack.databaseUrl, { max: 2, onnotice: () => {} })
const cleanUps: (() => Promise<unknown>)[] = []
const within = { timeout: 60_000, interval: 20 }

beforeAll(async () => {
  await admin.unsafe(`
    create or replace function public.queue_worker_test_echo(request jsonb) returns jsonb language sql as 'select request';
    create or replace function public.queue_worker_test_kind(request jsonb) returns jsonb language sql as 'select to_jsonb(jsonb_typeof(request))';
    create or replace function public.queue_worker_test_sleep(request jsonb) returns jsonb language plpgsql as
      'begin perform pg_catalog.pg_sleep((request->>''seconds'')::float); return request; end';
    create or replace function public.queue_worker_test_raise(request jsonb) returns jsonb language plpgsql as
      'begin raise exception using errcode = request->>''code'', message = request->>''message'', hint = request->>''hint''; end';
    create or replace function public.queue_worker_test_prepared(request jsonb) returns jsonb language sql as
      'select to_jsonb(count(*)) from pg_catalog.pg_prepared_statements';
    create table if not exists public.queue_worker_test_rows (name text primary key);
  `)
})
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
  // The server does not notice by itself that a client is gone while a statement runs.
  for (const pid of await sleepers()) await admin`select pg_terminate_backend(${pid})`
})
afterAll(async () => {
  await admin.unsafe(`
    drop function if exists public.queue_worker_test_echo, public.queue_worker_test_kind,
      public.queue_worker_test_sleep, public.queue_worker_test_raise, public.queue_worker_test_prepared;
    drop table if exists public.queue_worker_test_rows;
  `)
  await admin.end()
})

function open(options: Partial<PostgresOptions> = {}): Transport {
  const transport = connectPostgres({ url: stack.databaseUrl, ...options })
  cleanUps.push(() => transport.close())
  return transport
}
async function proxy(options: Partial<Parameters<typeof startProxy>[0]> = {}) {
  const started = await startProxy({ targetPort: Number(serverPort), ...options })
  cleanUps.push(() => started.stop())
  return started
}
function via(port: number): string {
  const url = new URL(stack.databaseUrl)
  url.port = String(port)
  return url.href
}

describe('JSON goes through unchanged', () => {
  test.each([
    ['object', { a: [1, 'two', null, { b: true }], empty: {}, text: 'ä 😀 \' " \\ \n' }],
    ['array', [1, [2, [3]], []]],
    ['array', []],
    ['array', [{ a: 1 }, { b: 2 }]],
    ['string', 'text'],
    ['string', '{"looks":"like JSON"}'],
    ['number', 1.5],
    ['boolean', true],
    ['null', null],
  ])('a top-level %s stays one', async (kind, value) => {
    const transport = open()
    expect(await transport.call('test_kind', value)).toBe(kind)
    expect(await transport.call('test_echo', value)).toEqual(value)
  })

  test('big payloads too, several at once', async () => {
    const transport = open({ connections: 2 })
    const rows = Array.from({ length: 200 }, (_, index) => ({ index, text: 'ä'.repeat(20_000) }))
    const answers = await Promise.all([1, 2, 3].map(() => transport.call('test_echo', rows)))
    for (const answer of answers) expect(answer).toEqual(rows)
  })
})

test('a name that is no entry point never becomes part of a statement', async () => {
  const failure = await failureOf(open().call("echo'(select 1)", {}))
  expect(failure).toMatchObject({ kind: 'rejected', transient: false })
})

test('the target names the place and no secret', () => {
  const transport = open({ url: 'postgresql://me:secret@db.example.com/app?sslmode=require' })
  expect(transport.target).toBe('db.example.com:5432/app')
})

describe('what our functions raise arrives with its class, words and remedy', () => {
  test.each([
    ['QW001', 'old_migration'],
    ['QW002', 'rejected'],
    ['QW003', 'missing_queue'],
  ])('%s is %s', async (code, kind) => {
    const failure = await failureOf(open().call('test_raise', { code, message: 'words', hint: 'do this' }))
    expect(failure).toMatchObject({ kind, transient: false, remedy: 'do this' })
    expect(failure.message).toMatch(/words/)
  })

  test('a function that is not there is a missing migration', async () => {
    expect(await failureOf(open().call('test_nothing', {}))).toMatchObject({ kind: 'missing_migration' })
  })
})

describe('logins', () => {
  test('a wrong password is named, and not shown', async () => {
    const url = new URL(stack.databaseUrl)
    url.password = 'wrong-password'
    const failure = await failureOf(open({ url: url.href }).call('test_echo', 1))
    expect(failure).toMatchObject({ kind: 'login', transient: false })
    expect(`${failure.message} ${failure.remedy}`).not.toContain('wrong-password')
  })

  test('a missing database is named', async () => {
    const url = new URL(stack.databaseUrl)
    url.pathname = '/no_such_database'
    expect(await failureOf(open({ url: url.href }).call('test_echo', 1))).toMatchObject({ kind: 'login' })
  })
})

test('a pooler that refuses a time limit at login is used without one', async () => {
  const between = await proxy({ refuseSetting: 'statement_timeout' })
  const transport = open({ url: via(between.port), connections: 2 })
  const answers = await Promise.all([1, 2, 3].map((value) => transport.call('test_echo', value)))
  expect(answers).toEqual([1, 2, 3])
})

describe('ways that lead nowhere', () => {
  test('a name that does not exist', async () => {
    const url = 'postgresql://me:secret@no-such-host.invalid/db?sslmode=disable'
    const failure = await failureOf(open({ url }).call('test_echo', 1))
    expect(failure).toMatchObject({ kind: 'dns', transient: true })
    expect(failure.message).toMatch(/no-such-host\.invalid/)
  })

  test('a port where nobody listens, call after call', async () => {
    const gone = await proxy()
    await gone.stop()
    const transport = open({ url: via(gone.port), connections: 1 })
    for (let attempt = 0; attempt < 3; attempt++)
      expect(await failureOf(transport.call('test_echo', 1))).toMatchObject({
        kind: 'refused',
        transient: true,
      })
  })

  test('a socket that is not there', async () => {
    const failure = await failureOf(
      open({ url: 'postgresql:///db?host=/no/such/folder' }).call('test_echo', 1),
    )
    expect(failure).toMatchObject({ kind: 'refused' })
    expect(failure.message).toMatch(/^\/no\/such\/folder\/\.s\.PGSQL\.5432\/db: /)
  })

  test('a server that hangs up at once is not stormed with connections', async () => {
    const between = await proxy()
    between.set('hang-up')
    const transport = open({ url: via(between.port), connections: 1 })
    expect(await failureOf(transport.call('test_echo', 1))).toMatchObject({
      kind: 'disconnected',
      transient: true,
    })
    expect(between.accepted()).toBeLessThan(5)
    between.set('pass')
    expect(await vi.waitFor(() => transport.call('test_echo', 2), within)).toBe(2)
  })

  test('a server that accepts and says nothing', async () => {
    const between = await proxy()
    between.set('silent')
    const transport = open({ url: via(between.port), connectTimeoutMs: 1000 })
    expect(await failureOf(transport.call('test_echo', 1))).toMatchObject({
      kind: 'timeout',
      transient: true,
    })
    between.set('pass')
    expect(await transport.call('test_echo', 2)).toBe(2)
  })
})

describe('connections that break', () => {
  test('a call in flight fails as disconnected, the next one works', async () => {
    const between = await proxy()
    const transport = open({ url: via(between.port), connections: 1 })
    await transport.call('test_echo', 1)
    const failing = failureOf(transport.call('test_sleep', { seconds: 60 }))
    await sleeping(1)
    between.cut()
    expect(await failing).toMatchObject({ kind: 'disconnected', transient: true })
    expect(await vi.waitFor(() => transport.call('test_echo', 2), within)).toBe(2)
  })

  test('a connection that goes silent costs its call the time limit; then the pool is new', async () => {
    const between = await proxy()
    const transport = open({
      url: via(between.port),
      connections: 1,
      requestTimeoutMs: 1500,
      connectTimeoutMs: 400,
    })
    await transport.call('test_echo', 1)
    between.set('silent')
    expect(await failureOf(transport.call('test_echo', 2))).toMatchObject({
      kind: 'timeout',
      transient: true,
    })
    between.set('pass')
    expect(await vi.waitFor(() => transport.call('test_echo', 3), within)).toBe(3)
  })

  test('a server that ends the connection is tried again', async () => {
    const transport = open({ connections: 1 })
    const failing = failureOf(transport.call('test_sleep', { seconds: 60 }))
    const pid = await sleeping(1)
    await admin`select pg_terminate_backend(${pid})`
    expect(await failing).toMatchObject({ kind: 'disconnected', transient: true })
    expect(await transport.call('test_echo', 1)).toBe(1)
  })

  test('a statement that takes too long is stopped by the server, before the client gives up', async () => {
    const transport = open({ requestTimeoutMs: 3000, connectTimeoutMs: 30_000 })
    const failure = await failureOf(transport.call('test_sleep', { seconds: 60 }))
    expect(failure).toMatchObject({ kind: 'timeout', transient: true, cause: { code: '57014' } })
    await vi.waitFor(async () => expect(await sleepers()).toHaveLength(0), within)
  })
})

describe('transactions', () => {
  test('commit what runs in them, calls included, and give the result', async () => {
    const transport = open()
    const result = await transport.transaction?.(async (sql, call) => {
      await sql`insert into public.queue_worker_test_rows values ('kept')`
      return call('test_echo', { inside: [1] })
    })
    expect(result).toEqual({ inside: [1] })
    expect(await admin`select 1 from public.queue_worker_test_rows where name = 'kept'`).toHaveLength(1)
  })

  test("roll back when the caller's code throws, and pass its error on as it is", async () => {
    const mine = new Error('mine')
    const attempt = open().transaction?.(async (sql) => {
      await sql`insert into public.queue_worker_test_rows values ('dropped')`
      throw mine
    })
    await expect(attempt).rejects.toBe(mine)
    expect(await admin`select 1 from public.queue_worker_test_rows where name = 'dropped'`).toHaveLength(0)
  })

  test('fail with a class when the server cannot be reached', async () => {
    const gone = await proxy()
    await gone.stop()
    const attempt = open({ url: via(gone.port) }).transaction?.(async () => 1)
    expect(await failureOf(attempt ?? Promise.resolve())).toMatchObject({ kind: 'refused' })
  })

  test('do not take connections away from calls', async () => {
    const transport = open({ connections: 1 })
    await transport.transaction?.(async () => expect(await transport.call('test_echo', 1)).toBe(1))
  })
})

describe('notifications', () => {
  const notify = (queue: string) => admin`select pg_notify('queue_worker', ${queue})`

  test('name the queue; probes and other texts are not taken for one', async () => {
    const heard: string[] = []
    const stop = await open().listen?.((queue) => heard.push(queue))
    expect(stop).toBeInstanceOf(Function)
    await notify('probe:somebody-else')
    await notify('Not A Queue')
    await notify('heard-by-test')
    await vi.waitFor(() => expect(heard).toContain('heard-by-test'), within)
    expect(heard.filter((queue) => /probe|Not/.test(queue))).toEqual([])
    await stop?.()
    await stop?.()
  })

  test('that do not arrive are found out', async () => {
    const between = await proxy({ swallow: 'A' })
    expect(await open({ url: via(between.port) }).listen?.(() => {})).toBeNull()
    await vi.waitFor(() => expect(between.open()).toBeLessThanOrEqual(2), within)
  })

  test('are not asked for on a transaction pooler', async () => {
    const url = new URL(stack.databaseUrl)
    url.searchParams.set('pgbouncer', 'true')
    const transport = open({ url: url.href })
    expect(await transport.listen?.(() => {})).toBeNull()
    expect(await transport.call('test_echo', [1])).toEqual([1])
    expect(await transport.call('test_echo', [2])).toEqual([2])
    expect(await transport.call('test_prepared', 1)).toBe(0)
    expect(await open().call('test_prepared', 1)).toBe(1)
  })

  test('a lost subscription is reported once, comes back by itself and says so', async () => {
    const between = await proxy()
    const heard: string[] = []
    let lost = 0
    await open({ url: via(between.port) }).listen?.(
      (queue) => heard.push(queue),
      () => lost++,
    )
    for (let round = 1; round <= 2; round++) {
      between.set('hang-up')
      between.cut()
      await vi.waitFor(() => expect(lost).toBe(round), within)
      // Attempts that fail meanwhile are no further losses.
      const before = between.accepted()
      await vi.waitFor(() => expect(between.accepted()).toBeGreaterThan(before), within)
      expect(lost).toBe(round)
      between.set('pass')
      await vi.waitFor(() => expect(heard.filter((queue) => queue === '*')).toHaveLength(round), within)
      await notify(`again-${round}`)
      await vi.waitFor(() => expect(heard).toContain(`again-${round}`), within)
    }
  })
})

test('closing ends every connection, and later calls fail', async () => {
  const between = await proxy()
  const transport = connectPostgres({ url: via(between.port) })
  await Promise.all([1, 2, 3].map((value) => transport.call('test_echo', value)))
  await transport.listen?.(() => {})
  await transport.transaction?.(async () => 1)
  await transport.close()
  await vi.waitFor(() => expect(between.open()).toBe(0), within)
  expect(await failureOf(transport.call('test_echo', 1))).toMatchObject({ kind: 'disconnected' })
  await transport.close()
})

async function sleepers(): Promise<number[]> {
  const rows = await admin`
    select pid from pg_stat_activity
    where application_name = 'queue-worker' and state = 'active' and query like '%queue_worker_test_sleep%'`
  return rows.map((row) => row.pid)
}

async function sleeping(count: number): Promise<number> {
  return vi.waitFor(async () => {
    const pids = await sleepers()
    expect(pids).toHaveLength(count)
    return pids[0] ?? 0
  }, within)
}
