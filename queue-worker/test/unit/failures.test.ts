import { describe, expect, test } from 'vitest'
import { ConnectionFailure } from '../../src/errors.ts'
import { classifyFailure, HttpAnswer } from '../../src/services/failures.ts'

const direct = { transport: 'postgres', target: 'db.example.com:5432/app', host: 'db.example.com' } as const
const rpc = { transport: 'rpc', target: 'https://abc.supabase.co', host: 'abc.supabase.co' } as const

const coded = (code: string, message = 'said the server', more: object = {}) =>
  Object.assign(new Error(message), { code, ...more })
const fetchFailed = (cause: Error) => new TypeError('fetch failed', { cause })
const json = (status: number, body: object) =>
  new HttpAnswer(status, 'application/json', JSON.stringify(body))
const html = (status: number, body = '<!doctype html><title>Hello</title>') =>
  new HttpAnswer(status, 'text/html; charset=utf-8', body)

describe('every failure gets its class, its chance of passing by itself, and a remedy', () => {
  test.each([
    ['a name that does not exist', coded('ENOTFOUND'), direct, 'dns', true, /DATABASE_URL/],
    ['a name that cannot be looked up', fetchFailed(coded('EAI_AGAIN')), rpc, 'dns', true, /paused/],
    ['a closed port', coded('ECONNREFUSED'), direct, 'refused', true, /port/],
    ['a missing socket', coded('ENOENT', 'connect ENOENT /run/x'), direct, 'refused', true, /socket/],
    ['a network without IPv6', coded('ENETUNREACH'), direct, 'refused', true, /PREFER_IPV4/],
    [
      'a connection that takes too long',
      coded('CONNECT_TIMEOUT'),
      direct,
      'timeout',
      true,
      /CONNECT_TIMEOUT_MS/,
    ],
    ['an answer that takes too long', coded('REQUEST_TIMEOUT'), direct, 'timeout', true, /again/],
    [
      'an aborted fetch',
      AbortSignal.abort(new DOMException('x', 'TimeoutError')).reason,
      rpc,
      'timeout',
      true,
      /again/,
    ],
    ['a statement over its limit', coded('57014'), direct, 'timeout', true, /locks/],
    [
      'a private CA',
      coded('SELF_SIGNED_CERT_IN_CHAIN'),
      direct,
      'untrusted_ca',
      false,
      /DATABASE_CA_FILE.*NODE_EXTRA_CA_CERTS/,
    ],
    [
      'a private CA over HTTPS',
      fetchFailed(coded('UNABLE_TO_VERIFY_LEAF_SIGNATURE')),
      rpc,
      'untrusted_ca',
      false,
      /DATABASE_CA_FILE/,
    ],
    ['a self-signed certificate', coded('DEPTH_ZERO_SELF_SIGNED_CERT'), direct, 'untrusted_ca', false, /CA/],
    ['an expired certificate', coded('CERT_HAS_EXPIRED'), direct, 'certificate_expired', false, /Renew/],
    ["another's certificate", coded('ERR_TLS_CERT_ALTNAME_INVALID'), direct, 'tls', false, /name/],
    ['a server without TLS', coded('TLS_NOT_OFFERED'), direct, 'tls', false, /sslmode=disable/],
    [
      'http spoken to https',
      fetchFailed(coded('ERR_SSL_WRONG_VERSION_NUMBER')),
      rpc,
      'tls',
      false,
      /SUPABASE_URL/,
    ],
    [
      'a wrong password',
      coded('28P01', 'password authentication failed for user "me"'),
      direct,
      'login',
      false,
      /password/,
    ],
    ['a refused login', coded('28000'), direct, 'login', false, /user/],
    [
      'a user the pooler does not know',
      coded('XX000', 'Tenant or user not found'),
      direct,
      'login',
      false,
      /user/,
    ],
    ['a missing database', coded('3D000'), direct, 'login', false, /database name/],
    ['too many connections', coded('53300'), direct, 'exhausted', true, /DATABASE_POOL_SIZE/],
    [
      'too many connections, behind PostgREST',
      json(503, {
        code: 'PGRST000',
        message: 'error',
        details: 'x: FATAL:  sorry, too many clients already',
      }),
      rpc,
      'exhausted',
      true,
      /find out who holds them, or raise max_connections/,
    ],
    ['a full disk', coded('53100'), direct, 'exhausted', true, /disk/],
    ['no memory', coded('53200'), direct, 'exhausted', true, /compute size/],
    ['another limit', coded('53400'), direct, 'exhausted', true, /limits/],
    [
      'a connection that PostgREST lost in a call',
      json(400, { code: '', message: '', details: null, hint: null }),
      rpc,
      'disconnected',
      true,
      /again/,
    ],
    ['an API that is not PostgREST', json(400, { message: '' }), rpc, 'unknown', false, /gateway/],
    ['a server that stops', coded('57P01'), direct, 'unavailable', true, /again/],
    ['a server that starts', coded('57P03'), direct, 'unavailable', true, /again/],
    ['a deadlock', coded('40P01'), direct, 'unavailable', true, /again/],
    [
      'PostgREST starting',
      json(503, { code: 'PGRST002', message: 'schema cache' }),
      rpc,
      'unavailable',
      true,
      /again/,
    ],
    [
      'PostgREST without connections',
      json(504, { code: 'PGRST003', message: 'pool' }),
      rpc,
      'unavailable',
      true,
      /again/,
    ],
    ['a gateway error page', html(502), rpc, 'unavailable', true, /again/],
    ['too many requests', html(429), rpc, 'unavailable', true, /again/],
    ['a paused project', html(540, 'Project paused'), rpc, 'paused_project', true, /Restore/],
    [
      'a missing function',
      json(404, { code: 'PGRST202', message: 'no function' }),
      rpc,
      'missing_migration',
      false,
      /migrate/,
    ],
    ['a missing function, directly', coded('42883'), direct, 'missing_migration', false, /migrate --copy/],
    ['a missing schema', coded('3F000'), direct, 'missing_migration', false, /migrate/],
    [
      'an old migration',
      json(400, { code: 'QW001', message: 'too old', hint: 'migrate it' }),
      rpc,
      'old_migration',
      false,
      /^migrate it$/,
    ],
    ['a bad request', coded('QW002', 'no such outcome'), direct, 'rejected', false, /again/],
    ['a text PostgreSQL cannot store', coded('22P05'), direct, 'rejected', false, /again/],
    [
      'a missing queue of ours',
      coded('QW003', 'there is no queue "x"'),
      direct,
      'missing_queue',
      false,
      /pgmq.create/,
    ],
    [
      'a missing queue',
      coded('42P01', 'relation "pgmq.q_x" does not exist'),
      direct,
      'missing_queue',
      false,
      /pgmq.create/,
    ],
    [
      'a missing table of ours',
      coded('42P01', 'relation "queue_worker.stats" does not exist'),
      direct,
      'missing_migration',
      false,
      /migrate/,
    ],
    [
      'a wrong key',
      json(401, { message: 'Invalid API key' }),
      rpc,
      'wrong_key',
      false,
      /SUPABASE_SECRET_KEY/,
    ],
    [
      'a key PostgREST refuses',
      json(401, { code: 'PGRST301', message: 'JWSError' }),
      rpc,
      'wrong_key',
      false,
      /SUPABASE_SECRET_KEY/,
    ],
    [
      'the anon key',
      json(401, { code: '42501', message: 'permission denied' }),
      rpc,
      'forbidden',
      false,
      /service_role/,
    ],
    ['missing grants', coded('42501'), direct, 'forbidden', false, /grant queue_worker/],
    ['an unexposed schema', json(406, { code: 'PGRST106', message: 'x' }), rpc, 'forbidden', false, /Expose/],
    ['a website', html(200), rpc, 'wrong_url', false, /SUPABASE_URL/],
    ['a website without that page', html(404), rpc, 'wrong_url', false, /SUPABASE_URL/],
    ['a redirect', new HttpAnswer(301, '', ''), rpc, 'wrong_url', false, /SUPABASE_URL/],
    ['another API', json(404, { message: 'route not found' }), rpc, 'wrong_url', false, /SUPABASE_URL/],
    ['a connection cut off', coded('ECONNRESET'), direct, 'disconnected', true, /again/],
    ['a connection closed', coded('CONNECTION_CLOSED'), direct, 'disconnected', true, /again/],
    [
      'a fetch cut off',
      fetchFailed(coded('UND_ERR_SOCKET', 'other side closed')),
      rpc,
      'disconnected',
      true,
      /again/,
    ],
    ['a body cut off', new TypeError('terminated'), rpc, 'disconnected', true, /again/],
    ['one bundle of refusals', new AggregateError([coded('ECONNREFUSED')]), direct, 'refused', true, /port/],
    ['an error of the database', coded('P0001', 'somebody raised this'), direct, 'unknown', false, /log/],
    ['an error nobody knows', new Error('the moon is full'), direct, 'unknown', true, /report/],
  ] as const)('%s', (_name, error, context, kind, transient, remedy) => {
    const failure = classifyFailure(error, context)
    expect(failure).toBeInstanceOf(ConnectionFailure)
    expect({ kind: failure.kind, transient: failure.transient }).toEqual({ kind, transient })
    expect(failure.remedy).toMatch(remedy)
    expect(failure.message).toContain(context.target)
    expect(failure.cause).toBe(error)
  })
})

test('what the server said is kept where the class does not say it', () => {
  expect(classifyFailure(new Error('the moon is full'), direct).message).toBe(
    `${direct.target}: the moon is full`,
  )
  expect(classifyFailure(new TypeError('fetch failed', { cause: new Error('why') }), rpc).message).toMatch(
    /fetch failed: why/,
  )
  expect(
    classifyFailure(coded('28P01', 'password authentication failed for user "me"'), direct).message,
  ).toMatch(/for user "me"/)
  expect(classifyFailure('just a text', direct).message).toMatch(/just a text/)
})

test('Supabase gets the hints that only apply there', () => {
  const host = 'db.abc.supabase.co'
  expect(classifyFailure(coded('ENOTFOUND'), { ...direct, host }).remedy).toMatch(/paused.*IPv4.*pooler/)
  expect(classifyFailure(coded('ENOTFOUND'), direct).remedy).not.toMatch(/paused/)
  expect(classifyFailure(coded('SELF_SIGNED_CERT_IN_CHAIN'), { ...direct, host }).remedy).toMatch(
    /download it/,
  )
  const pooler = 'aws-0-eu-central-1.pooler.supabase.com'
  expect(classifyFailure(coded('28P01'), { ...direct, host: pooler }).remedy).toMatch(/postgres\.<ref>/)
})

test('a failure that is one already stays as it is', () => {
  const failure = classifyFailure(coded('ECONNRESET'), direct)
  expect(classifyFailure(failure, rpc)).toBe(failure)
})

test('no secret is in a message or a remedy, declared or not', () => {
  const jwt = 'eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoic2VydmljZV9yb2xlIn0.c2lnbmF0dXJl'
  const said = `with hunter22 and hunter%32%32 at postgres://me:s3cret@host/db using sb_secret_abc_DEF and ${jwt}`
  const context = { ...rpc, secrets: ['hunter22'] }
  for (const error of [
    new Error(said),
    json(400, { code: 'QW002', message: said, hint: said }),
    coded('28P01', said),
  ]) {
    const { message, remedy } = classifyFailure(error, context)
    for (const secret of ['hunter22', 's3cret', 'abc_DEF', 'eyJ'])
      expect(message + remedy).not.toContain(secret)
  }
})
