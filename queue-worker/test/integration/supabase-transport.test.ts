import { createServer as createHttpServer, type RequestListener, type Server } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import * as tls from 'node:tls'
import postgres from 'postgres'
import { afterAll, afterEach, beforeAll, describe, expect, inject, test, vi } from 'vitest'
import type { Transport } from '../../src/queue/contract.ts'
import { connectSupabase, type SupabaseOptions } from '../../src/services/supabase.ts'
import { createAuthority } from '../support/certificates.ts'
import { failureOf } from '../support/failure.ts'

const stack = inject('stack')
const admin = postgres(stack.databaseUrl, { max: 1, onnotice: () => {} })
const cleanUps: (() => Promise<unknown>)[] = []
const key = stack.secretKey

function open(options: Partial<SupabaseOptions> = {}): Transport {
  const transport = connectSupabase({ url: stack.url, key, ...options })
  cleanUps.push(() => transport.close())
  return transport
}

beforeAll(async () => {
  await admin.unsafe(`
    -- Not in SQL: an inlined function is called without asking for the right to, once its plan is cached.
    create or replace function public.queue_worker_rpc_echo(request jsonb) returns jsonb language plpgsql as
      'begin return request; end';
    create or replace function public.queue_worker_rpc_raise(request jsonb) returns jsonb language plpgsql as
      'begin raise exception using errcode = request->>''code'', message = request->>''message'', hint = request->>''hint''; end';
    revoke execute on function public.queue_worker_rpc_echo, public.queue_worker_rpc_raise from public, anon, authenticated;
    grant execute on function public.queue_worker_rpc_echo, public.queue_worker_rpc_raise to service_role;
    notify pgrst, 'reload schema';
  `)
  const transport = connectSupabase({ url: stack.url, key })
  await vi.waitFor(
    () =>
      transport.call('rpc_raise', { code: 'QW002' }).catch((error) => expect(error.kind).toBe('rejected')),
    {
      timeout: 60_000,
      interval: 100,
    },
  )
  await transport.close()
})
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})
afterAll(async () => {
  await admin.unsafe(`
    drop function if exists public.queue_worker_rpc_echo, public.queue_worker_rpc_raise;
    notify pgrst, 'reload schema';
  `)
  await admin.end()
})

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  cleanUps.push(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  return (server.address() as AddressInfo).port
}
/** A transport to a server that answers like this. */
async function answering(
  respond: RequestListener,
  options: Partial<SupabaseOptions> = {},
): Promise<Transport> {
  return open({ url: `http://127.0.0.1:${await listening(createHttpServer(respond))}`, ...options })
}

test.each([
  ['an object', { a: [1, 'two', null, { b: true }], text: 'ä 😀 \' " \\ \n' }],
  ['an array', [1, [2, [3]], []]],
  ['a string', '{"looks":"like JSON"}'],
  ['a number', 1.5],
  ['null', null],
])('%s goes through unchanged', async (_kind, value) => {
  expect(await open().call('rpc_echo', value)).toEqual(value)
})

test('big payloads too, several at once, with each kind of key', async () => {
  const rows = Array.from({ length: 200 }, (_, index) => ({ index, text: 'ä'.repeat(20_000) }))
  const transports = [open(), open({ key: stack.serviceRoleKey })]
  const answers = await Promise.all(transports.map((transport) => transport.call('rpc_echo', rows)))
  for (const answer of answers) expect(answer).toEqual(rows)
})

describe('what the server says arrives with its class', () => {
  test('and with the words and remedy of our functions', async () => {
    const failure = await failureOf(
      open().call('rpc_raise', { code: 'QW001', message: 'words', hint: 'do this' }),
    )
    expect(failure).toMatchObject({ kind: 'old_migration', transient: false, remedy: 'do this' })
    expect(failure.message).toMatch(/words/)
  })

  test('a function that is not there is a missing migration', async () => {
    expect(await failureOf(open().call('rpc_nothing', {}))).toMatchObject({ kind: 'missing_migration' })
  })

  test('a wrong key is named, and not shown', async () => {
    const wrong = 'sb_secret_wrong_wrong_wrong'
    const failure = await failureOf(open({ key: wrong }).call('rpc_echo', {}))
    expect(failure).toMatchObject({ kind: 'wrong_key', transient: false })
    expect(failure.message + failure.remedy).not.toContain(wrong)
  })

  test('a key of another project is named', async () => {
    const [head, body] = stack.serviceRoleKey.split('.')
    const forged = `${head}.${body}.${Buffer.alloc(32).toString('base64url')}`
    expect(await failureOf(open({ key: forged }).call('rpc_echo', {}))).toMatchObject({ kind: 'wrong_key' })
  })

  test('the keys of anon may not', async () => {
    for (const anon of [stack.anonKey, stack.publishableKey])
      expect(await failureOf(open({ key: anon }).call('rpc_echo', {}))).toMatchObject({
        kind: 'forbidden',
        transient: false,
        remedy: expect.stringMatching(/service_role/),
      })
  })

  test.each([
    [503, '{"code":"PGRST002","message":"Could not query the database for the schema cache"}', 'unavailable'],
    [540, '{"message":"Project paused"}', 'paused_project'],
    [200, '<!doctype html><h1>Welcome</h1>', 'wrong_url'],
    [404, '<!doctype html><h1>Not found</h1>', 'wrong_url'],
    [502, '<html>Bad gateway</html>', 'unavailable'],
  ])('HTTP %i with %s is %s', async (status, body, kind) => {
    const type = body.startsWith('{') ? 'application/json' : 'text/html'
    const transport = await answering((_request, response) =>
      response.writeHead(status, { 'content-type': type }).end(body),
    )
    expect(await failureOf(transport.call('rpc_echo', {}))).toMatchObject({ kind })
  })
})

test('a redirect is not followed, so that the key goes nowhere else', async () => {
  let followed = 0
  const elsewhere = await listening(
    createHttpServer((_request, response) => {
      followed++
      response.end('{}')
    }),
  )
  const location = `http://127.0.0.1:${elsewhere}/`
  const transport = await answering((_request, response) => response.writeHead(307, { location }).end())
  expect(await failureOf(transport.call('rpc_echo', {}))).toMatchObject({
    kind: 'wrong_url',
    transient: false,
  })
  expect(followed).toBe(0)
})

describe('ways that lead nowhere', () => {
  test('a name that does not exist', async () => {
    const failure = await failureOf(open({ url: 'http://no-such-host.invalid' }).call('rpc_echo', {}))
    expect(failure).toMatchObject({ kind: 'dns', transient: true })
    expect(failure.message).toMatch(/^http:\/\/no-such-host\.invalid: .*no-such-host\.invalid/)
  })

  test('a port where nobody listens', async () => {
    const server = createHttpServer()
    const port = await listening(server)
    await new Promise((resolve) => server.close(resolve))
    const failure = await failureOf(open({ url: `http://127.0.0.1:${port}` }).call('rpc_echo', {}))
    expect(failure).toMatchObject({ kind: 'refused', transient: true })
  })

  test('a server that says nothing, before and within its answer', async () => {
    const silent = await answering(() => {}, { requestTimeoutMs: 500 })
    expect(await failureOf(silent.call('rpc_echo', {}))).toMatchObject({ kind: 'timeout', transient: true })
    const stuck = await answering(
      (_request, response) =>
        void response.writeHead(200, { 'content-type': 'application/json' }).write('{"a'),
      { requestTimeoutMs: 500 },
    )
    expect(await failureOf(stuck.call('rpc_echo', {}))).toMatchObject({ kind: 'timeout', transient: true })
  })

  test('a server that hangs up, before and within its answer', async () => {
    const rude = await answering((request) => request.socket.destroy())
    expect(await failureOf(rude.call('rpc_echo', {}))).toMatchObject({
      kind: 'disconnected',
      transient: true,
    })
    const ruder = await answering((request, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': 100 })
      response.write('{"a', () => request.socket.destroy())
    })
    expect(await failureOf(ruder.call('rpc_echo', {}))).toMatchObject({
      kind: 'disconnected',
      transient: true,
    })
  })

  test('https:// where http is spoken', async () => {
    const port = await listening(createHttpServer())
    const failure = await failureOf(open({ url: `https://127.0.0.1:${port}` }).call('rpc_echo', {}))
    expect(failure).toMatchObject({ kind: 'tls', transient: false })
  })
})

describe('certificates', () => {
  let authority: Awaited<ReturnType<typeof createAuthority>>
  const before = tls.getCACertificates('default')
  beforeAll(async () => {
    authority = await createAuthority()
  })
  afterEach(() => tls.setDefaultCACertificates(before))
  afterAll(() => authority.remove())

  async function reach(server: { name?: string; expired?: boolean }, caFile?: string): Promise<unknown> {
    const pair = await authority.sign(server.name ?? 'localhost', { expired: server.expired ?? false })
    const https = createHttpsServer(pair, (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' }).end('{"secure":true}')
    })
    return open({ url: `https://localhost:${await listening(https)}`, caFile }).call('rpc_echo', {})
  }

  test('of a CA that is not known are refused, and the remedy names the setting', async () => {
    const failure = await failureOf(reach({}))
    expect(failure).toMatchObject({ kind: 'untrusted_ca', transient: false })
    expect(failure.remedy).toMatch(/DATABASE_CA_FILE.*NODE_EXTRA_CA_CERTS/)
  })

  test('of a private CA are accepted through its file', async () => {
    expect(await reach({}, authority.caFile)).toEqual({ secure: true })
  })

  test('that expired are refused', async () => {
    expect(await failureOf(reach({ expired: true }, authority.caFile))).toMatchObject({
      kind: 'certificate_expired',
    })
  })

  test('of another host are refused', async () => {
    const failure = await failureOf(reach({ name: 'other.example.com' }, authority.caFile))
    expect(failure).toMatchObject({ kind: 'tls', transient: false })
    expect(failure.message).toMatch(/another name than localhost/)
  })
})

test('closing ends calls in flight', async () => {
  const transport = await answering(() => {})
  const failing = failureOf(transport.call('rpc_echo', {}))
  await transport.close()
  expect(await failing).toMatchObject({ kind: 'disconnected' })
})
