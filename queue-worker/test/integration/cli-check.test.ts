import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { folder, removeFolder, run, writeProcessors } from '../support/cli.ts'
import { processorCode } from '../support/cli-env.ts'

let cwd = ''
let processors = ''
beforeAll(async () => {
  cwd = await folder()
  processors = writeProcessors(cwd, { 'one.ts': processorCode('orders', '', "onSuccess: 'delete',") })
})
afterAll(() => removeFolder(cwd))

const SECRETS = {
  SUPABASE_SECRET_KEY: 'sb_secret_d0ntTellAnybody_1234567',
  SMTP_PASS: 'p@ss w0rd/of+mail',
  DATABASE_URL: 'postgresql://postgres:d%40tabase-secret@db.example.com:5432/postgres',
}
/** Nothing of these is reachable, and nothing of them needs to be. */
const GOOD = {
  ...SECRETS,
  SUPABASE_URL: 'https://abcdefghijklmnopqrst.supabase.co',
  SMTP_HOST: 'smtp.example.com',
  SMTP_USER: 'mailer',
  SMTP_FROM: 'Acme <no-reply@example.com>',
  ORDERS_CONCURRENCY: '7',
}

function noSecretIn(text: string): void {
  for (const secret of [...Object.values(SECRETS), 'd%40tabase-secret', 'd@tabase-secret']) {
    expect(text).not.toContain(secret)
  }
}

test('good settings are shown, with what each queue gets', async () => {
  const { code, out, err } = await run(['check'], { cwd, env: { ...GOOD, PROCESSORS: processors } })
  expect([code, err]).toEqual([0, ''])
  expect(out).toMatch(/^connection +rpc to https:\/\/abcdefghijklmnopqrst\.supabase\.co$/m)
  expect(out).toMatch(/^mail +smtp\.example\.com:587 as mailer, from Acme/m)
  expect(out).toMatch(/^health +http:\/\/127\.0\.0\.1:8080\/health$/m)
  expect(out).toMatch(/^email_queue +10 /m)
  expect(out).toMatch(/^orders +7 .* delete +as in the database$/m)
  expect(out).toMatch(/The settings are in order/)
  noSecretIn(out)
})

test('sleeping is shown with who ends it, and refused when nobody would', async () => {
  const sleepy = { ...GOOD, PROCESSORS: processors, WORKER_SLEEP_WHEN_IDLE_SECONDS: '60', SCHEDULER: 'off' }
  const refused = await run(['check'], { cwd, env: sleepy })
  expect(refused.code).toBe(3)
  expect(refused.err).toMatch(
    /WORKER_WOKEN_BY is missing: with WORKER_SLEEP_WHEN_IDLE_SECONDS the worker sleeps until somebody wakes it/,
  )
  const { code, out } = await run(['check'], {
    cwd,
    env: { ...sleepy, WORKER_WOKEN_BY: 'pg_net', HOST: '0.0.0.0' },
  })
  expect(code).toBe(0)
  expect(out).toMatch(/^sleep +after 60 s without anything to do, until it is woken \(pg_net\)$/m)
})

test('--json tells the same to a program', async () => {
  const env = { ...GOOD, PROCESSORS: processors, WORKER_CONCURENCY: '3' }
  const { code, out } = await run(['check', '--json'], { cwd, env })
  expect(code).toBe(0)
  const told = JSON.parse(out)
  expect(told).toMatchObject({ ok: true, transport: 'rpc', target: GOOD.SUPABASE_URL })
  expect(told.queues).toContainEqual(
    expect.objectContaining({ queue: 'orders', concurrency: 7, onSuccess: 'delete' }),
  )
  expect(told.warnings).toEqual([
    expect.stringMatching(/WORKER_CONCURENCY .*did you mean WORKER_CONCURRENCY/),
  ])
  noSecretIn(out)
})

test('the embedded stack brings a mail server, so that there is something to work on', async () => {
  for (const more of [{}, { SMTP_HOST: '' }]) {
    const { code, out, err } = await run(['check'], { cwd, env: { QUEUE_TRANSPORT: 'embedded', ...more } })
    expect([code, err], out).toEqual([0, ''])
    expect(out).toMatch(/^mail +the mail server of the embedded stack, from Queue Worker </m)
    expect(out).toMatch(/^email_queue +10 /m)
  }
  const own = { QUEUE_TRANSPORT: 'embedded', SMTP_HOST: 'localhost', SMTP_FROM: 'me@example.com' }
  expect((await run(['check'], { cwd, env: own })).out).toMatch(/^mail +localhost:587 as nobody/m)
})

test.each([['check'], ['check', '--json']])(
  'an error that quotes secrets is told without (%s %s)',
  async (...args) => {
    const path = join(cwd, 'leaky')
    await mkdir(path, { recursive: true })
    await writeFile(
      join(path, 'one.ts'),
      `throw new Error(${JSON.stringify(Object.values(SECRETS).join(' '))})`,
    )
    const { code, text } = await run(args, { cwd, env: { ...GOOD, PROCESSORS: path } })
    expect(code).not.toBe(0)
    expect(text).toMatch(/\[redacted\]/)
    noSecretIn(text)
  },
)

/** What is wrong, and what of the message must say so. */
const MALFORMED: readonly [string, Record<string, string>, RegExp][] = [
  [
    'a key that is missing',
    { SUPABASE_SECRET_KEY: '' },
    /SUPABASE_SECRET_KEY is missing .*Settings > API Keys/,
  ],
  ['a publishable key', { SUPABASE_SECRET_KEY: 'sb_publishable_abc' }, /is the publishable key/],
  ['a key with quotes', { SUPABASE_SECRET_KEY: '"sb_secret_abc"' }, /contains spaces, line breaks or quotes/],
  ['an address that is none', { SUPABASE_URL: 'my project' }, /SUPABASE_URL is not a URL; allowed: /],
  ['the dashboard', { SUPABASE_URL: 'https://supabase.com/dashboard' }, /address of the dashboard/],
  ['a database at SUPABASE_URL', { SUPABASE_URL: SECRETS.DATABASE_URL }, /put it into DATABASE_URL/],
  ['a web address as DATABASE_URL', { DATABASE_URL: 'https://a.b' }, /DATABASE_URL is a web address/],
  [
    'a placeholder',
    { DATABASE_URL: 'postgresql://u:[YOUR-PASSWORD]@h:5432/d' },
    /DATABASE_URL .*\[YOUR-PASSWORD\]/,
  ],
  ['an unknown transport', { QUEUE_TRANSPORT: 'carrier-pigeon' }, /QUEUE_TRANSPORT .*rpc, postgres/],
  ['a number that is none', { WORKER_CONCURRENCY: 'many' }, /WORKER_CONCURRENCY .*allowed: .*1.*1000/],
  ['one out of bounds', { WORKER_BATCH_SIZE: '501' }, /WORKER_BATCH_SIZE .*500/],
  ['one of a queue', { EMAIL_QUEUE_MAX_ATTEMPTS: '0' }, /EMAIL_QUEUE_MAX_ATTEMPTS /],
  ['a heartbeat too slow', { WORKER_HEARTBEAT_SECONDS: '40' }, /WORKER_HEARTBEAT_SECONDS is 40, not shorter/],
  ['a sender that is none', { SMTP_FROM: 'nobody' }, /SMTP_FROM /],
  [
    'a sender that is missing',
    { SMTP_FROM: '' },
    /SMTP_FROM is not set\n\nWhat to do: Set SMTP_FROM to the address/,
  ],
  [
    'a password without user',
    { SMTP_USER: '' },
    /SMTP_USER is missing; allowed: the user that belongs to SMTP_PASS/,
  ],
  ['a port', { PORT: '99999' }, /PORT .*65535/],
  ['a log level', { LOG_LEVEL: 'loud' }, /LOG_LEVEL .*trace, debug/],
  [
    'queue names',
    { QUEUES: 'email_queue, Big Queue' },
    /QUEUES has .* that no queue can have; allowed: names of 1 to 43/,
  ],
  [
    'a queue without processor',
    { QUEUES: 'nobody_does_this' },
    /QUEUES names nobody_does_this, .*no processor/,
  ],
  [
    'a folder that is missing',
    { PROCESSORS: '/no/such/folder' },
    /the folder of processors cannot be read.*\/no\/such\/folder/,
  ],
  [
    'a CA file that is missing',
    { DATABASE_CA_FILE: '/no/such/ca.pem' },
    /DATABASE_CA_FILE.*\/no\/such\/ca\.pem|\/no\/such\/ca\.pem.*DATABASE_CA_FILE/s,
  ],
]

describe('a setting that is malformed is named, with what is allowed', () => {
  test.each(MALFORMED)('%s', async (_what, wrong, says) => {
    const env = { ...GOOD, ...wrong }
    const { code, out, err } = await run(['check'], { cwd, env })
    expect(err).toMatch(says)
    expect(err).toMatch(/^error: .*\n\nWhat to do: \S/s)
    expect(err).not.toMatch(/ {4}at /)
    expect([code, out]).toEqual([3, ''])
    noSecretIn(err)
  })

  test('several at once, all in one message', async () => {
    const env = { ...GOOD, WORKER_CONCURRENCY: 'x', LOG_LEVEL: 'y', PORT: 'z', SMTP_PASS: '' }
    const { code, err } = await run(['check'], { cwd, env })
    expect(code).toBe(3)
    expect(err).toMatch(/4 settings are missing or malformed/)
    for (const name of ['WORKER_CONCURRENCY', 'LOG_LEVEL', 'PORT', 'SMTP_PASS']) {
      expect(err).toMatch(new RegExp(`^  ${name} \\S`, 'm'))
    }
  })

  test('as JSON where that was asked for', async () => {
    const { code, out, err } = await run(['check', '--json'], { cwd, env: { ...GOOD, LOG_LEVEL: 'y' } })
    expect([code, err]).toEqual([3, ''])
    const told = JSON.parse(out)
    expect(told).toEqual({ ok: false, error: expect.any(String), remedy: expect.any(String) })
    expect(told.error).toMatch(/LOG_LEVEL/)
  })
})
