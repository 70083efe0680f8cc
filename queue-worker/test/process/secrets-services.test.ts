/**
 * No secret of a service reaches the log or the database, though each service says it back: with the answer to a payment, a
 * callback, a mail, a publication. The built-in processors, in a worker as it is run, and every table looked through.
 */
import { createServer } from 'node:net'
import { afterAll, afterEach, beforeAll, expect, inject, test } from 'vitest'
import { applyMigrations, listMigrations } from '../../src/services/migrations.ts'
import { endAll, folder, removeFolder, start } from '../support/cli.ts'
import { createDatabase, type TestDatabase } from '../support/databases.ts'
import { listenOn } from '../support/ports.ts'
import { startRabbit, withoutRabbit } from '../support/rabbitmq.ts'
import { startReceiver } from '../support/receiver.ts'
import { noneOf } from '../support/secrets.ts'
import { OBLIGING, startRawSmtp } from '../support/smtp.ts'
import { until } from '../support/worker.ts'

const SECRETS = {
  STRIPE_SECRET_KEY: 'sk_test_4eC39HqLyjWDarjtT1zdp7dc',
  STRIPE_WEBHOOK_SECRET: 'whsec_7d9f2c41b8e64a30',
  YOOKASSA_SECRET_KEY: 'test_Fh8hUAVVBGUGbjmlzba6TB0i',
  HTTP_CALLBACKS_SECRET: `whsec_${Buffer.from('the signing secret of callbacks').toString('base64')}`,
  SMTP_PASS: 'a+mail/pass word!',
}
const AMQP_PASSWORD = 'rabbit:p@ss/4711'
const cleanups: (() => Promise<unknown>)[] = []
let database: TestDatabase
let cwd = ''

beforeAll(async () => {
  cwd = await folder()
  database = await createDatabase(inject('stack'))
  await applyMigrations(database.sql, await listMigrations())
})
afterEach(async () => {
  await endAll()
  for (const clean of cleanups.splice(0).reverse()) await clean()
})
afterAll(async () => {
  await database.dispose()
  await removeFolder(cwd)
})

/** Answers whatever it is asked with all the secrets it got, and all the others: first as its own failure, then as ours. */
async function startEcho() {
  const asked = new Map<string, number>()
  const all = Object.values(SECRETS).join(' ')
  const server = await startReceiver(({ method, path, headers }, response) => {
    const login = Buffer.from(String(headers.authorization ?? '').split(' ')[1] ?? '', 'base64').toString()
    const said = `no: ${headers.authorization} (${login}) ${all} https://shop:${encodeURIComponent(SECRETS.SMTP_PASS)}@host/`
    const where = `${method} ${path.split('?')[0]}`
    const times = (asked.get(where) ?? 0) + 1
    asked.set(where, times)
    response.writeHead(times === 1 ? 500 : 400, { 'content-type': 'application/json' })
    // As Stripe says it, as YooKassa does, and as anybody might.
    response.end(
      JSON.stringify({
        ...{ type: 'error', id: said, code: 'invalid_request', description: said, message: said },
        error: { type: 'invalid_request_error', code: said, param: said, message: said },
      }),
    )
  })
  cleanups.push(server.stop)
  return server
}

async function startTalkativeMail() {
  const server = await startRawSmtp((command, content, socket) => {
    if (command.startsWith('EHLO')) return '250-raw.example\r\n250 AUTH PLAIN'
    if (command.startsWith('AUTH')) return '235 welcome'
    if (command.startsWith('RCPT'))
      return `550 5.1.1 nobody; you are ${server.commands.find((one) => one.startsWith('AUTH'))} (${SECRETS.SMTP_PASS})`
    return OBLIGING(command, content, socket)
  })
  cleanups.push(server.stop)
  return server
}

/** A broker that refuses the login: a real one where there is one, else a port that answers nothing. */
async function brokerPort(): Promise<number> {
  if (withoutRabbit === '') {
    const rabbit = await startRabbit()
    cleanups.push(() => rabbit.stop())
    return rabbit.port
  }
  const server = createServer((socket) => socket.end())
  cleanups.push(async () => server.close())
  await listenOn(server, 0)
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

async function everythingStored(): Promise<string> {
  const { admin } = database
  const tables = await admin<{ name: string }[]>`
    select c.oid::regclass::text as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind = 'r' and n.nspname in ('queue_worker', 'public', 'pgmq')`
  const rows = await Promise.all(
    tables.map(({ name }) => admin.unsafe(`select t::text as row from ${name} t`)),
  )
  return rows.flatMap((some) => some.map(({ row }) => String(row))).join('\n')
}

test('services that say their secrets back: none is in the log, an error, a dead letter, or any table', async () => {
  const [echo, mail, amqp] = [await startEcho(), await startTalkativeMail(), await brokerPort()]
  const { sql } = database
  const messages: [queue: string, message: object][] = [
    ['payments', { operation: 'create', amount: 1999, currency: 'EUR', provider: 'stripe' }],
    ['payments', { operation: 'create', amount: 1999, currency: 'RUB', provider: 'yookassa' }],
    [
      'payments',
      { operation: 'notification', provider: 'stripe', payload: '{"id": "evt_1"}', signature: 't=1,v1=00' },
    ],
    ['http_callbacks', { url: `${echo.origin}/hook`, data: { order: 1 } }],
    ['email_queue', { to: 'ann@example.com', subject: 'Hi', text: 'Hello' }],
    ['amqp', { queue: 'invoices', data: 1 }],
  ]
  for (const queue of new Set(messages.map(([name]) => name)))
    await sql`select queue_worker.ensure_queue(${queue}, false)`
  for (const [queue, message] of messages)
    await sql`select pgmq.send(${queue}, ${sql.json(message as never)}::jsonb)`
  const short = (queue: string) => ({
    [`${queue}_MAX_ATTEMPTS`]: '3',
    [`${queue}_BACKOFF_BASE_SECONDS`]: '0.1',
    [`${queue}_BACKOFF_MAX_SECONDS`]: '0.2',
  })
  const cli = start(['worker'], {
    cwd,
    env: {
      ...SECRETS,
      ...short('PAYMENTS'),
      ...short('HTTP_CALLBACKS'),
      ...{ DATABASE_URL: database.url, QUEUE_TRANSPORT: 'postgres', PORT: 'off', LOG_LEVEL: 'trace' },
      ...{ PAYMENTS_PROVIDER: 'stripe', STRIPE_API_URL: echo.origin, YOOKASSA_API_URL: echo.origin },
      ...{ YOOKASSA_SHOP_ID: '506751', HTTP_CALLBACKS_ALLOW_PRIVATE: '127.0.0.1' },
      ...{
        SMTP_HOST: '127.0.0.1',
        SMTP_PORT: String(mail.port),
        SMTP_USER: 'mailer',
        SMTP_FROM: 'a@example.com',
      },
      AMQP_URL: `amqp://guest:${encodeURIComponent(AMQP_PASSWORD)}@127.0.0.1:${amqp}`,
    },
  })
  const dead = async (queue: string) =>
    Number((await sql`select count(*) from pgmq.${sql(`q_${queue}_dlq`)}`)[0]?.count)
  await until('payments, the callback and the mail are dead letters', async () => {
    const counts = await Promise.all(['payments', 'http_callbacks', 'email_queue'].map(dead))
    return counts.join() === '3,1,1'
  })
  await until('the broker was tried', async () => {
    const [row] = await sql`select from queue_worker.outcomes where queue = 'amqp'`
    return row !== undefined
  })
  cli.signal('SIGTERM')
  expect(await cli.ended).toBe(0)

  // They were there to be found.
  expect(mail.commands.some((command) => command.startsWith('AUTH PLAIN '))).toBe(true)
  const logins = new Set(echo.received.map(({ headers }) => headers.authorization))
  expect(logins).toContain(`Bearer ${SECRETS.STRIPE_SECRET_KEY}`)
  expect(logins).toContain(`Basic ${Buffer.from(`506751:${SECRETS.YOOKASSA_SECRET_KEY}`).toString('base64')}`)
  const stored = await everythingStored()
  expect(stored).toContain('5.1.1')
  expect(stored).toMatch(/no: .*\[redacted\]/)
  const secrets = [...Object.values(SECRETS), SECRETS.HTTP_CALLBACKS_SECRET.slice(6), AMQP_PASSWORD]
  noneOf(secrets, stored)
  noneOf(secrets, cli.text())
})
