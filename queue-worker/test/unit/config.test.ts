import { describe, expect, test } from 'vitest'
import { amqpPasswordsIn } from '../../src/config/amqp-url.ts'
import { passwordsIn } from '../../src/config/database-url.ts'
import { archiveDays, loadConfig, queueOverrides } from '../../src/config.ts'
import { SetupError } from '../../src/errors.ts'

const now = Date.parse('2026-06-01T00:00:00Z')
const load = (env: Record<string, string | undefined> = {}) => loadConfig(env, now)
const jwt = (claims: object) =>
  `${['{"alg":"HS256"}', JSON.stringify(claims)].map((part) => Buffer.from(part).toString('base64url')).join('.')}.c2ln`

function problemsOf(env: Record<string, string | undefined>): string {
  try {
    load(env)
  } catch (error) {
    if (error instanceof SetupError) return error.message
    throw error
  }
  throw new Error('these settings were accepted')
}

const rpc = { SUPABASE_URL: 'https://abc.supabase.co', SUPABASE_SECRET_KEY: 'sb_secret_xyz' }

describe('which transport is meant', () => {
  test.each([
    [{}, undefined],
    [{ NODE_ENV: 'production' }, undefined],
    [rpc, 'rpc'],
    [{ DATABASE_URL: 'postgres://u:p@h/d' }, 'postgres'],
    [{ ...rpc, DATABASE_URL: 'postgres://u:p@h/d' }, 'rpc'],
    [{ ...rpc, DATABASE_URL: 'postgres://u:p@h/d', QUEUE_TRANSPORT: 'postgres' }, 'postgres'],
    [{ ...rpc, QUEUE_TRANSPORT: 'embedded' }, 'embedded'],
    [{ PGHOST: 'db' }, 'postgres'],
    [{ DB_HOST: 'db' }, 'postgres'],
    [{ SUPABASE_URL: '', DATABASE_URL: '  ' }, undefined],
  ])('%o means %s', (env, transport) => {
    expect(load(env).transport).toBe(transport)
  })

  test('an address without a key, and a transport without an address, are refused by name', () => {
    expect(problemsOf({ SUPABASE_URL: rpc.SUPABASE_URL })).toMatch(
      /SUPABASE_SECRET_KEY is missing \(or SUPABASE_SERVICE_ROLE_KEY\)/,
    )
    expect(problemsOf({ QUEUE_TRANSPORT: 'rpc' })).toMatch(/SUPABASE_URL is missing/)
    expect(problemsOf({ QUEUE_TRANSPORT: 'postgres' })).toMatch(/DATABASE_URL is missing/)
    expect(problemsOf({ QUEUE_TRANSPORT: 'carrier pigeon' })).toMatch(/rpc, postgres, embedded/)
  })

  test('a direct transport asks for no Supabase key', () => {
    const env = {
      QUEUE_TRANSPORT: 'postgres',
      DATABASE_URL: 'postgres://u:p@h/d',
      SUPABASE_URL: rpc.SUPABASE_URL,
    }
    expect(load(env).supabase).toBeUndefined()
  })
})

describe('the scheduler', () => {
  test('is on, and looks every 15 seconds, unless something else is set', () => {
    expect(load().scheduler).toEqual({ isOn: true, pollMs: 15_000 })
    expect(load({ SCHEDULER: 'off', SCHEDULER_POLL_SECONDS: '0.5' }).scheduler).toEqual({
      ...{ isOn: false, pollMs: 500 },
    })
  })

  test('may not sleep so long that what is added is missed, nor not at all; a misspelt setting is told', () => {
    for (const seconds of ['31', '0', 'often']) {
      expect(problemsOf({ SCHEDULER_POLL_SECONDS: seconds })).toMatch(
        /SCHEDULER_POLL_SECONDS is .*allowed: a number from 0.1 to 30/,
      )
    }
    expect(problemsOf({ SCHEDULER: 'sometimes' })).toMatch(/SCHEDULER is neither yes nor no/)
    expect(load({ SCHEDULER_POLL_SECOND: '5' }).warnings).toEqual([
      'SCHEDULER_POLL_SECOND is not a setting; did you mean SCHEDULER_POLL_SECONDS?',
    ])
  })
})

describe('payments', () => {
  const stripe = { PAYMENTS_PROVIDER: 'stripe', STRIPE_SECRET_KEY: 'sk_test_x' }

  test('are worked on when a provider is set or their queue is named', () => {
    expect(load().payments).toBeNull()
    expect(load({ STRIPE_SECRET_KEY: 'sk_test_x' }).payments).toBeNull()
    expect(load({ QUEUES: 'payments' }).payments).toEqual({ provider: 'sandbox' })
    expect(load({ PAYMENTS_PROVIDER: 'sandbox' }).payments).toEqual({ provider: 'sandbox' })
    const all = {
      ...stripe,
      STRIPE_WEBHOOK_SECRET: 'whsec_x',
      YOOKASSA_SHOP_ID: '1',
      YOOKASSA_SECRET_KEY: 'live_x',
    }
    expect(load(all).payments).toEqual({
      provider: 'stripe',
      stripe: { key: 'sk_test_x', webhookSecret: 'whsec_x', url: 'https://api.stripe.com' },
      yookassa: { shopId: '1', key: 'live_x', url: 'https://api.yookassa.ru/v3' },
    })
    expect(load(all).secrets).toEqual(expect.arrayContaining(['sk_test_x', 'whsec_x', 'live_x']))
  })

  test.each([
    [{ PAYMENTS_PROVIDER: 'stripe' }, /STRIPE_SECRET_KEY is missing/],
    [{ PAYMENTS_PROVIDER: 'yookassa' }, /YOOKASSA_SHOP_ID is missing.*YOOKASSA_SECRET_KEY is missing/s],
    [{ ...stripe, YOOKASSA_SHOP_ID: '1' }, /YOOKASSA_SECRET_KEY is missing/],
    [{ PAYMENTS_PROVIDER: 'paypal' }, /PAYMENTS_PROVIDER .*sandbox, stripe, yookassa/],
    [{ ...stripe, STRIPE_API_URL: 'localhost:1' }, /STRIPE_API_URL is not an address/],
    [
      { ...stripe, STRIPE_API_URL: 'http://proxy.internal' },
      /STRIPE_API_URL is http:\/\/ on another host.*unencrypted.*https:\/\/host/,
    ],
    [{ ...stripe, YOOKASSA_API_URL: 'http://10.0.0.7/v3' }, /YOOKASSA_API_URL is http:\/\/ on another host/],
    [{ ...stripe, STRIPE_API_URL: 'https://u:p@host' }, /STRIPE_API_URL has a login in it/],
    [{ QUEUES: 'payments', NODE_ENV: 'production' }, /PAYMENTS_PROVIDER is missing.*production/],
  ])('%j is refused', (env, says) => {
    expect(problemsOf(env)).toMatch(says)
  })

  test.each([
    'http://127.0.0.1:12111',
    'http://localhost:1',
    'http://[::1]:1',
    'https://proxy.internal:8443',
  ])('a provider may be at %s', (url) =>
    expect(load({ ...stripe, STRIPE_API_URL: url }).payments?.stripe?.url).toBe(url),
  )

  test('the sandbox in production is asked for, and warns', () => {
    const { warnings } = load({ PAYMENTS_PROVIDER: 'sandbox', NODE_ENV: 'production' })
    expect(warnings).toContainEqual(expect.stringContaining('no money moves'))
    expect(load({ ...stripe, NODE_ENV: 'production' }).warnings).toEqual([])
  })
})

test('the parts of a connection make the same URL as one would write', () => {
  const env = {
    DB_HOST: 'db.example.com',
    DB_USER: 'me',
    DB_PASSWORD: 'p@ss/w:rd',
    DB_NAME: 'app',
    DB_PORT: '5433',
  }
  expect(load(env).database?.url).toBe('postgresql://me:p%40ss%2Fw%3Ard@db.example.com:5433/app')
  expect(load({ PGHOST: '/run/postgresql', PGSSLMODE: 'disable' }).database?.url).toBe(
    'postgresql://postgres@localhost:5432/postgres?host=%2Frun%2Fpostgresql&sslmode=disable',
  )
})

test('a Supabase address is taken with or without a slash and /rest/v1', () => {
  for (const url of [
    'https://abc.supabase.co',
    'https://abc.supabase.co/',
    'https://abc.supabase.co/rest/v1/',
  ])
    expect(load({ ...rpc, SUPABASE_URL: url }).supabase?.url).toBe('https://abc.supabase.co')
  expect(load({ ...rpc, SUPABASE_URL: 'http://kong:8000/base/' }).supabase?.url).toBe('http://kong:8000/base')
})

describe('addresses and keys that cannot work are refused at once, without repeating them', () => {
  test.each([
    [{ ...rpc, SUPABASE_URL: 'postgres://u:hidden@h/d' }, /SUPABASE_URL.*DATABASE_URL/],
    [{ ...rpc, SUPABASE_URL: 'https://supabase.com/dashboard/project/hidden' }, /dashboard/],
    [{ ...rpc, SUPABASE_URL: 'abc.supabase.co hidden' }, /is not a URL/],
    [{ ...rpc, SUPABASE_URL: 'https://me:hidden@abc.supabase.co' }, /user or password/],
    [{ DATABASE_URL: 'https://hidden.supabase.co' }, /DATABASE_URL.*SUPABASE_URL/],
    [{ DATABASE_URL: 'postgres://u:hid#den@h:5432/d' }, /percent-encoded/],
    [{ DATABASE_URL: 'postgres://u:hidden%@h:5432/d' }, /percent-encoded/],
    [{ DATABASE_URL: 'postgresql://postgres:[YOUR-PASSWORD]@h:5432/d' }, /YOUR-PASSWORD/],
    [{ ...rpc, SUPABASE_SECRET_KEY: 'sb_publishable_hidden' }, /publishable key/],
    [{ ...rpc, SUPABASE_SECRET_KEY: 'sb_secret_ hidden' }, /spaces, line breaks or quotes/],
    [{ ...rpc, SUPABASE_SECRET_KEY: jwt({ role: 'anon', exp: now / 1000 + 1 }) }, /role anon/],
    [{ ...rpc, SUPABASE_SECRET_KEY: jwt({ role: 'authenticated' }) }, /role authenticated/],
    [
      { ...rpc, SUPABASE_SECRET_KEY: jwt({ role: 'service_role', exp: now / 1000 - 1 }) },
      /expired on 2026-05-31/,
    ],
  ])('%#', (env: Record<string, string>, message) => {
    const text = problemsOf(env)
    expect(text).toMatch(message)
    expect(text).not.toContain('hidden')
    expect(text).not.toContain('eyJ')
  })

  test('a token of a role of its own takes the publishable key along, any other key does not', () => {
    const own = { ...rpc, SUPABASE_SECRET_KEY: jwt({ role: 'queue_worker' }) }
    const gatewayKey = 'sb_publishable_a'
    expect(load({ ...own, SUPABASE_PUBLISHABLE_KEY: gatewayKey }).supabase).toMatchObject({ gatewayKey })
    expect(load({ ...own, SUPABASE_ANON_KEY: gatewayKey }).supabase).toMatchObject({ gatewayKey })
    for (const key of [rpc.SUPABASE_SECRET_KEY, jwt({ role: 'service_role' })]) {
      const { supabase } = load({
        ...{ SUPABASE_URL: rpc.SUPABASE_URL, SUPABASE_SECRET_KEY: key, SUPABASE_PUBLISHABLE_KEY: gatewayKey },
      })
      expect(supabase).toEqual({ url: rpc.SUPABASE_URL, key })
    }
    expect(problemsOf({ ...own, SUPABASE_ANON_KEY: 'sb_secret_hidden' })).toMatch(
      /SUPABASE_ANON_KEY is a secret/,
    )
  })

  test('keys that may work are taken', () => {
    for (const key of [jwt({ role: 'service_role', exp: now / 1000 + 60 }), jwt({ role: 'queue_worker' })])
      expect(load({ ...rpc, SUPABASE_SECRET_KEY: key }).warnings).toEqual([])
    expect(
      load({ SUPABASE_URL: rpc.SUPABASE_URL, SUPABASE_SERVICE_ROLE_KEY: 'sb_secret_a' }).supabase?.key,
    ).toBe('sb_secret_a')
    expect(load({ ...rpc, SUPABASE_SERVICE_ROLE_KEY: 'sb_secret_other' }).supabase?.key).toBe('sb_secret_xyz')
    expect(load({ ...rpc, SUPABASE_SECRET_KEY: 'made-up' }).warnings.join()).toMatch(
      /neither an sb_secret_ key/,
    )
  })
})

test('one error names everything that is wrong, and what is allowed', () => {
  const text = problemsOf({
    SUPABASE_URL: 'https://abc.supabase.co',
    WORKER_BATCH_SIZE: '501',
    WORKER_CONCURRENCY: 'hidden',
    PORT: '99999',
    LOG_LEVEL: 'loud',
    QUEUES: 'email_queue,Bad Name',
    SMTP_USER: 'me',
    FROM_EMAIL: 'nobody',
    EMAIL_QUEUE_TIMEOUT: '5s',
  })
  expect(text).toMatch(/^9 settings are missing or malformed/)
  expect(text).toMatch(/WORKER_BATCH_SIZE is 501, which is too large; allowed: a whole number from 1 to 500/)
  for (const name of [
    'SUPABASE_SECRET_KEY',
    'WORKER_CONCURRENCY',
    'PORT',
    'LOG_LEVEL',
    'QUEUES',
    'SMTP_PASS',
  ])
    expect(text).toMatch(new RegExp(`^  ${name} .*allowed: `, 'm'))
  expect(text).toMatch(/^ {2}FROM_EMAIL is not an e-mail address/m)
  expect(text).toMatch(/^ {2}EMAIL_QUEUE_TIMEOUT is not a whole number/m)
  expect(text).not.toContain('hidden')
})

describe('rules between settings', () => {
  test.each([
    [{ WORKER_HEARTBEAT_SECONDS: '30' }, /WORKER_HEARTBEAT_SECONDS is 30, not shorter than WORKER_VIS/],
    [
      { WORKER_HEARTBEAT_SECONDS: '9', EMAIL_QUEUE_VISIBILITY_TIMEOUT_SECONDS: '8' },
      /not shorter than EMAIL_QUEUE_VISIBILITY_TIMEOUT_SECONDS/,
    ],
    [{ WORKER_BACKOFF_MAX_SECONDS: '1' }, /WORKER_BACKOFF_MAX_SECONDS is 1/],
    [{ REPORTS_BACKOFF_MAX_SECONDS: '1' }, /REPORTS_BACKOFF_MAX_SECONDS is 1/],
    [{ SMTP_PASSWORD: 'hidden' }, /SMTP_USER is missing; .*SMTP_PASSWORD/],
    [{ PAYMENTS_BATCH_SIZE: '501' }, /PAYMENTS_BATCH_SIZE/],
  ])('%o is refused', (env: Record<string, string>, message) => {
    expect(problemsOf(env)).toMatch(message)
  })

  test.each([
    [{ WORKER_HEARTBEAT_SECONDS: '15' }, /a third is used/],
    [{ WORKER_DRAIN_TIMEOUT_MS: '60000' }, /must allow more than this before SIGKILL/],
    [{ SMTP_SECURE: 'on' }, /587/],
    [{ QUEUE_TRANSPORT: 'embedded', NODE_ENV: 'production' }, /for trying out/],
    [{ ...rpc, SUPABASE_URL: 'http://example.com' }, /unencrypted/],
    [{ SUPABASE_SECRET_KEY: 'sb_secret_x' }, /SUPABASE_URL is not/],
    [{ DB_HOST: 'h', PGPASSWORD: 'x' }, /mixed/],
  ])('%o gives a warning', (env: Record<string, string>, message) => {
    expect(load(env).warnings.join('\n')).toMatch(message)
  })
})

test('what the mailer refuses is not also warned of', () => {
  const env = { SMTP_HOST: 'relay', SMTP_USER: 'u', SMTP_PASS: 'pass', SMTP_REQUIRE_TLS: 'off' }
  expect(load(env).warnings).toEqual([])
})

test('the passwords of a connection string are found wherever they are', () => {
  expect(passwordsIn('postgresql://u:p%40w@/db?host=/run/postgresql')).toEqual(['p%40w', 'p@w'])
  expect(passwordsIn('postgresql:///db?host=/run/postgresql&user=u&password=p%40w')).toEqual(['p@w'])
  expect(passwordsIn('postgresql://u@h/db')).toEqual([])
})

describe('settings of one queue', () => {
  test('are found by the capitals of its name and laid over the rest', () => {
    const config = load({
      EMAIL_QUEUE_CONCURRENCY: '20',
      MY_OWN_2_ON_SUCCESS: 'delete',
      MY_OWN_2_TIMEOUT: '7',
    })
    expect(queueOverrides(config, 'email_queue')).toEqual({ concurrency: 20 })
    expect(queueOverrides(config, 'my-own-2')).toEqual({ onSuccess: 'delete', timeoutMs: 7 })
    expect(queueOverrides(config, 'reports')).toEqual({})
    const limits = { REPORTS_RATE_LIMIT: 'off', EMAIL_QUEUE_RATE_LIMIT: '100/1m', WORKER_RATE_LIMIT: '9/1h' }
    expect(queueOverrides(load(limits), 'reports')).toEqual({ rateLimit: null })
    const rateLimit = { maxMessages: 100, periodSeconds: 60 }
    expect(queueOverrides(load(limits), 'email_queue')).toEqual({ rateLimit })
    expect(load(limits).consumer.rateLimit).toEqual({ maxMessages: 9, periodSeconds: 3600 })
    expect(load({}).consumer.rateLimit).toBeUndefined()
  })

  test('may change half of the backoff', () => {
    const config = load({ REPORTS_BACKOFF_BASE_SECONDS: '5', AMQP_BACKOFF_MAX_SECONDS: '60' })
    const declared = { baseSeconds: 1, maxSeconds: 3 }
    expect(queueOverrides(config, 'reports', declared).backoff).toEqual({ baseSeconds: 5, maxSeconds: 5 })
    expect(queueOverrides(config, 'amqp', declared).backoff).toEqual({ baseSeconds: 1, maxSeconds: 60 })
  })

  test('that belong to another program do not stop the start, but do once the queue is worked on', () => {
    const config = load({ GUNICORN_TIMEOUT: '30s', QUEUES: 'email_queue', REPORTS_TIMEOUT: '30s' })
    expect(() => queueOverrides(config, 'gunicorn')).toThrow(/GUNICORN_TIMEOUT is not a whole number/)
    expect(() => queueOverrides(config, 'reports')).toThrow(SetupError)
  })

  test('never shadow a setting of the same name', () => {
    expect(queueOverrides(load({ WORKER_CONCURRENCY: '3' }), 'worker')).toEqual({})
  })
})

test('archives are kept as long as their queue says, or all, or as the database says', () => {
  const own = { ...rpc, EMAIL_QUEUE_ARCHIVE_RETENTION_DAYS: '90', REPORTS_ARCHIVE_RETENTION_DAYS: '0' }
  const queues = ['email_queue', 'reports', 'payments']
  expect(archiveDays(load(own), queues)).toEqual({ email_queue: 90, reports: 0 })
  const all = { ...own, WORKER_ARCHIVE_RETENTION_DAYS: '30' }
  expect(archiveDays(load(all), queues)).toEqual({ email_queue: 90, reports: 0, payments: 30 })
  expect(queueOverrides(load(own), 'email_queue')).toEqual({})
  expect(load(rpc).retention.days).toBe(30)
  const odd = load({ ...rpc, ODD_ARCHIVE_RETENTION_DAYS: 'ever' })
  expect(() => archiveDays(odd, ['odd'])).toThrow(/ODD_ARCHIVE_RETENTION_DAYS is not a whole number/)
})

describe('a misspelt setting gives a warning with the nearest name', () => {
  test.each([
    ['WORKER_CONCURENCY', /did you mean WORKER_CONCURRENCY\?/],
    ['SMTP_PASSWD', /did you mean SMTP_PASS\?/],
    ['SMTP_XYZZY_PLUGH', /^SMTP_XYZZY_PLUGH is not a setting/],
    ['EMAIL_QUEUE_CONCURRENCI', /did you mean EMAIL_QUEUE_CONCURRENCY\?/],
    ['EMIAL_QUEUE_TIMEOUT', /did you mean EMAIL_QUEUE_TIMEOUT\?/],
    ['SUPABASE_SERCET_KEY', /did you mean SUPABASE_SECRET_KEY\?/],
    ['DATABASE_ULR', /did you mean DATABASE_URL\?/],
  ])('%s', (name, message) => {
    expect(load({ [name]: 'hidden' }).warnings).toEqual([expect.stringMatching(message)])
    expect(load({ [name]: 'hidden' }).warnings.join()).not.toContain('hidden')
  })

  test.each([
    'WEB_CONCURRENCY',
    'PAYMENTS_API_URL',
    'AMQP_EXCHANGE_OF_ANOTHER_PROGRAM',
    'SUPABASE_ANON_KEY',
    'PATH',
    'EMAIL_DOMAIN',
    'HOSTNAME',
  ])('%s is left alone', (name) => {
    expect(load({ [name]: 'x' }).warnings).toEqual([])
  })
})

test('values are frozen, and every secret is listed', () => {
  const config = load({
    ...rpc,
    SUPABASE_SERVICE_ROLE_KEY: 'sb_secret_old',
    DATABASE_URL: 'postgres://u:p%40ss@h/d',
    SMTP_USER: 'me',
    SMTP_PASSWORD: 'mail-pass',
  })
  expect(config.secrets).toEqual(
    expect.arrayContaining(['sb_secret_xyz', 'sb_secret_old', 'p%40ss', 'p@ss', 'mail-pass']),
  )
  expect(Object.isFrozen(config) && Object.isFrozen(config.consumer.backoff)).toBe(true)
})

test('the health endpoint can be turned off', () => {
  expect(load({ PORT: 'off' }).http).toMatchObject({ host: '127.0.0.1', port: null })
  expect(load({ PORT: '0', HOST: '0.0.0.0' }).http).toMatchObject({ host: '0.0.0.0', port: 0 })
})

describe('the address of the broker', () => {
  test('its parts are decoded, and have the defaults of the broker', () => {
    const addressOf = (AMQP_URL: string) => load({ AMQP_URL }).amqp.address
    expect(addressOf('amqps://me:p%40ss%2F@mq.example.com/a%2Fb?heartbeat=5')).toEqual({
      secure: true,
      host: 'mq.example.com',
      port: 5671,
      user: 'me',
      password: 'p@ss/',
      vhost: 'a/b',
      heartbeatSeconds: 5,
    })
    const defaults = { secure: false, port: 5672, user: 'guest', password: 'guest', vhost: '/' }
    expect(addressOf('amqp://127.0.0.1')).toMatchObject({ host: '127.0.0.1', ...defaults })
    expect(addressOf('amqp://[::1]:5673/%2F')).toMatchObject({ host: '::1', vhost: '/', port: 5673 })
    expect(load().amqp.address).toBeUndefined()
  })

  test.each([
    ['localhost:5672', /AMQP_URL does not begin with amqp:\/\/ or amqps:\/\//],
    ['https://mq.example.com:15672', /does not begin with amqp/],
    ['amqp://me:p%zz@mq', /cannot be read; characters like .* must be percent-encoded/],
    ['amqp://me:pa#ss@mq/v', /percent-encoded/],
    ['amqp://mq/a/b', /the vhost a\/b is a%2Fb/],
    ['amqp://mq:70000', /cannot be read/],
    ['amqp://mq?frameMax=1', /parameters other than \?heartbeat/],
    ['amqp://mq?heartbeat=soon', /heartbeat that is not a number of seconds/],
  ])('%s is refused with what is allowed', (AMQP_URL, words) => {
    expect(problemsOf({ AMQP_URL })).toMatch(words)
    expect(problemsOf({ AMQP_URL })).not.toContain(AMQP_URL)
  })

  test('its password is a secret, as written and as meant, also when the rest cannot be read', () => {
    expect(load({ AMQP_URL: 'amqps://me:p%40ssword@mq/v' }).secrets).toEqual(['p%40ssword', 'p@ssword'])
    expect(amqpPasswordsIn('amqp://me:pa#ss@mq/v')).toEqual(['pa#ss'])
    expect(amqpPasswordsIn('amqp://guest:guest@mq')).toEqual([])
  })

  test('a password that would travel unencrypted is told', () => {
    const warningsOf = (AMQP_URL: string) => load({ AMQP_URL }).warnings.join()
    expect(warningsOf('amqp://me:pw@mq.example.com')).toMatch(/AMQP_URL .* travels unencrypted/)
    expect(warningsOf('amqps://me:pw@mq.example.com')).toBe('')
    expect(warningsOf('amqp://me:pw@localhost')).toBe('')
  })
})

test('one admin token or two are read and kept out of everything; what is no token is refused unseen', () => {
  const [a, b] = ['a1b2'.repeat(8), 'c3d4'.repeat(8)]
  expect(load({}).http.adminTokens).toEqual([])
  const { http, secrets } = load({ ADMIN_TOKEN: `${a} ${b}` })
  expect(http.adminTokens).toEqual([a, b])
  expect(secrets).toEqual(expect.arrayContaining([a, b]))
  for (const bad of ['too-short', `${a} short`, `${a}"`, 'x'.repeat(201)]) {
    const error = problemsOf({ ADMIN_TOKEN: bad })
    expect(error).toMatch(/ADMIN_TOKEN is too short or not a token; allowed: 32 to 200 letters/)
    expect(error).not.toContain(bad)
  }
})

describe('sleeping when idle', () => {
  const sleepy = {
    WORKER_SLEEP_WHEN_IDLE_SECONDS: '300',
    WORKER_WOKEN_BY: 'producer',
    SCHEDULER: 'off',
    HOST: '0.0.0.0',
  }

  test('is off unless it is asked for, and says who wakes the worker', () => {
    expect(load({}).sleep).toBeNull()
    const { sleep, warnings } = load(sleepy)
    expect([sleep, warnings]).toEqual([{ whenIdleSeconds: 300, wokenBy: 'producer' }, []])
  })

  test.each([
    [
      { WORKER_WOKEN_BY: '' },
      /WORKER_WOKEN_BY is missing: with .* until somebody wakes it; allowed: producer/,
    ],
    [
      { WORKER_WOKEN_BY: 'magic' },
      /WORKER_WOKEN_BY is not one of the words known; allowed: producer, pg_net, request/,
    ],
    [{ PORT: 'off' }, /PORT is off, so that nobody can wake a worker that sleeps/],
    [{ SCHEDULER: 'on' }, /SCHEDULER is on, and a scheduler cannot sleep.*allowed .*: off/],
    [{ SCHEDULER: '' }, /SCHEDULER is on/],
    [
      { WORKER_SLEEP_WHEN_IDLE_SECONDS: '9' },
      /WORKER_SLEEP_WHEN_IDLE_SECONDS is 9, which is too small; allowed: a whole number from 10 to 86400/,
    ],
    [{ WORKER_WAKE_TOKEN: 'short' }, /WORKER_WAKE_TOKEN is too short/],
  ])('%j is refused', (env, wrong) => {
    expect(problemsOf({ ...sleepy, ...env })).toMatch(wrong)
  })

  test('what will not do what was meant is worth a word', () => {
    expect(load({ ...sleepy, HOST: '' }).warnings).toEqual([
      expect.stringMatching(
        /^HOST is 127\.0\.0\.1: a worker that sleeps can be woken from this machine alone/,
      ),
    ])
    expect(load({ WORKER_WOKEN_BY: 'producer' }).warnings).toEqual([
      expect.stringMatching(/the worker never sleeps$/),
    ])
  })

  test('the token for waking is a secret', () => {
    const token = 'f00d'.repeat(10)
    const { http, secrets } = load({ WORKER_WAKE_TOKEN: token })
    expect([http.wakeTokens, secrets]).toEqual([[token], expect.arrayContaining([token])])
  })
})
