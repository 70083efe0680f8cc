/**
 * Every SQL example of the README and of docs/processors, as it stands there, on the stack of `npm run dev`: it runs, and
 * what it sends is processed. What lies outside (tables of a shop, hosts, a broker's queues) is made here.
 */
import { readFileSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import postgres, { type Sql } from 'postgres'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { EXAMPLES } from '../../src/processors/examples.ts'
import { brokerClient } from '../support/amqp.ts'
import { type Cli, endAll, folder, projectRoot, removeFolder, start } from '../support/cli.ts'
import { type Rabbit, startRabbit, withoutRabbit } from '../support/rabbitmq.ts'
import { type Receiver, startReceiver } from '../support/receiver.ts'
import { until } from '../support/worker.ts'

let cwd = ''
let dev: Cli
let sql: Sql
let look: Sql
let receiver: Receiver
let rabbit: Rabbit | undefined

/** What the examples take for granted of a shop. */
const SHOP = `
  create table users (name text, email text);
  create table files (id int, data bytea);
  insert into files values (1, decode('255044462d', 'hex'));
  create table orders (id int, callback_url text, shop text, total numeric, created_at timestamptz default now());
  create table invoices (id int, order_id int, tenant text, total numeric);
  create table handled (message_id text primary key);
  select pgmq.create('orders');
  -- pg_cron is not here; what it would run each morning is run at once.
  create schema cron;
  create function cron.schedule(name text, at text, command text) returns int language plpgsql as
    'begin execute command; return 1; end'`

beforeAll(async () => {
  cwd = await folder('queue-worker-docs-')
  receiver = await startReceiver()
  if (withoutRabbit === '') {
    rabbit = await startRabbit()
    await brokerClient(rabbit.url).within(async (channel) => {
      for (const [exchange, kind] of [
        ['orders', 'topic'],
        ['alerts', 'fanout'],
      ] as const) {
        await channel.assertExchange(exchange, kind)
        await channel.assertQueue(exchange)
        await channel.bindQueue(exchange, exchange, '#')
      }
      await channel.assertQueue('invoices')
    })
  }
  dev = start(['dev'], {
    cwd,
    env: {
      PORT: 'off',
      WORKER_POLL_INTERVAL_MS: '200',
      EMAIL_TEMPLATES_DIR: join(projectRoot, 'templates'),
      ...(rabbit === undefined ? {} : { AMQP_URL: rabbit.url }),
    },
  })
  await dev.says(/reads email_queue/)
  const [, url = ''] = /psql "([^"]+)"/.exec(dev.text()) ?? []
  sql = postgres(url, { max: 1, onnotice: () => {} })
  look = postgres(url, { max: 1, onnotice: () => {} })
  await sql.unsafe(SHOP)
})
afterAll(async () => {
  await sql?.end()
  await look?.end()
  await endAll()
  await rabbit?.stop()
  await receiver?.stop()
  await removeFolder(cwd)
})

/** The statements of a page's SQL, one by one; a semicolon within quotes ends none. */
function statementsOf(page: string): string[] {
  const text = readFileSync(join(projectRoot, page), 'utf8')
  const blocks = [...text.matchAll(/^ *```sql\n([\s\S]*?)^ *```$/gm)].map(([, block = '']) => block)
  return blocks
    .flatMap((block) => block.match(/(?:--.*|'(?:[^']|'')*'|\$\$[\s\S]*?\$\$|[^;])+/g) ?? [])
    .map((statement) => statement.replace(/^\s*(?:--.*\s*)*/, '').trim())
    .filter((statement) => statement !== '')
}

/** Runs them in their order, waiting after each until what it sent is processed. */
async function runAll(statements: readonly string[]): Promise<void> {
  for (const statement of statements) {
    const here = statement.replaceAll('https://example.com', receiver.origin)
    const parameters = here.includes('$1') ? ['the id of a message'] : []
    await sql.unsafe(here, parameters).catch((error) => {
      throw new Error(`${error.message}, in:\n${here}`)
    })
    await untilProcessed()
  }
}

const served = () => Object.keys(EXAMPLES).filter((queue) => queue !== 'amqp' || rabbit !== undefined)

/** Looks from another connection: within its own transaction nothing was sent yet. */
async function untilProcessed(): Promise<void> {
  // What is sent for a day to come stays where it is.
  const waiting = served().map((queue) => `select from pgmq.q_${queue} where vt < now() + interval '1 day'`)
  const inOneLook = waiting.join(' union all ')
  await until('the queues are empty', async () => (await look.unsafe(inOneLook)).length === 0)
  for (const queue of served()) {
    const letters =
      await look`select message -> 'dead_letter' ->> 'error' as error from pgmq.${look(`q_${queue}_dlq`)}`
    expect([...letters], queue).toEqual([])
  }
}

const mails = async () => {
  const directory = join(cwd, '.queue-worker/mail')
  return Promise.all((await readdir(directory)).map((name) => readFile(join(directory, name), 'utf8')))
}
const subjects = async () =>
  (await mails()).map((mail) => /^Subject: (.*?)\r?$/m.exec(mail)?.[1] ?? '').sort()

test('README.md', async () => {
  const statements = statementsOf('README.md')
  expect(statements.length).toBeGreaterThan(8)
  await runAll(statements)
  expect(await subjects()).toEqual(['It works', 'Welcome'])
})

test('docs/processors/email.md', async () => {
  await runAll(statementsOf('docs/processors/email.md'))
  await runAll([`insert into users values ('Eve', 'eve@example.com')`])
  expect(await subjects()).toEqual(
    ['Hello', 'It works', 'Report', 'Welcome', 'Welcome, Ann', 'Welcome, Eve', 'Your invoice'].sort(),
  )
})

test.skipIf(withoutRabbit !== '')(`docs/processors/amqp.md${withoutRabbit}`, async () => {
  const statements = statementsOf('docs/processors/amqp.md')
  await runAll(statements)
  await runAll([`insert into invoices values (1, 17, 'acme', 12.50)`])
  const broker = brokerClient(rabbit?.url ?? '')
  const arrived = async (queue: string) => (await broker.take(queue)).map(({ content }) => content.toString())
  expect(await arrived('orders')).toEqual(['{"id":7}'])
  expect(await arrived('alerts')).toEqual(['disk full'])
  expect(await arrived('invoices')).toEqual(['{"id":1,"total":12.5}'])
  // The consumer's: the second time it does nothing.
  await runAll(statements.filter((one) => one.includes('$1')))
  expect(await look`select from handled`).toHaveLength(1)
})

test('docs/processors/payments.md', async () => {
  await runAll(statementsOf('docs/processors/payments.md'))
  const payments = await look`
    select reference, status, captured_amount::int as captured, refunded_amount::int as refunded from public.payments order by reference`
  expect(payments.map((one) => Object.values(one))).toEqual([
    ['order-17', 'partially_refunded', 1999, 500],
    ['order-18', 'succeeded', 1999, 0],
    ['order-19', 'succeeded', 1500, 0],
  ])
  expect(
    (await look`select message from pgmq.q_orders order by msg_id`).map(({ message }) => message.status),
  ).toEqual(['succeeded', 'partially_refunded'])
})

test('docs/processors/payments.md: the customer of the sandbox who pays', async () => {
  const page = readFileSync(join(projectRoot, 'docs/processors/payments.md'), 'utf8')
  const [, pay = ''] = /`(select queue_worker_sandbox\([^`]*)`/.exec(page) ?? []
  const payment = () => look`select id, provider_id, status from public.payments where amount = 4002`
  await runAll([
    `select pgmq.send('payments', '{"operation": "create", "amount": 4002, "currency": "EUR"}'::jsonb)`,
  ])
  const [{ id, provider_id: providerId, status } = {}] = await payment()
  expect(status).toBe('pending')
  await runAll([
    pay.replace('sandbox_…', String(providerId)),
    `select pgmq.send('payments', '{"operation": "sync", "payment_id": "${id}"}'::jsonb)`,
  ])
  expect((await payment())[0]?.status).toBe('succeeded')
})

test('docs/processors/reports.md', async () => {
  await runAll(statementsOf('docs/processors/reports.md'))
  // The one that the page shows how to write.
  await runAll([
    `insert into orders (id, shop, total) values (9, 'Vienna', 19.99)`,
    `select pgmq.send('reports', '{"report": "sales", "format": "pdf"}'::jsonb)`,
  ])
  const made =
    await look`select report, format, state, rows::int as rows from public.reports order by requested_at`
  expect(made.map(({ report, format, state }) => [report, format, state])).toEqual([
    ['daily_volume', 'csv', 'done'],
    ['failures', 'xlsx', 'done'],
    ['daily_volume', 'pdf', 'done'],
    ['sales', 'pdf', 'done'],
  ])
  expect(made.at(-1)?.rows).toBe((await look`select from reports.sales()`).length)
  expect(await subjects()).toEqual(expect.arrayContaining(['Daily volume', 'Failures in November']))
})

test('docs/processors/http-callbacks.md', async () => {
  await runAll(statementsOf('docs/processors/http-callbacks.md'))
  await runAll([`insert into orders (id, callback_url) values (8, '${receiver.origin}/own')`])
  const seen = receiver.received.map(({ method, path, body }) => [method, path, body])
  expect(seen).toEqual([
    ['POST', '/hooks/orders', '{"order":4711,"state":"paid"}'],
    ['PUT', '/customers/17', '{"name":"Ann"}'],
    ['POST', '/xml', '<order id="4711"/>'],
    ['POST', '/own', expect.stringContaining('"id":8')],
  ])
  expect(receiver.received[1]?.headers).toMatchObject({ authorization: 'Bearer abc', 'x-tenant': 'acme' })
})

test('no page was forgotten', async () => {
  const pages = (await readdir(join(projectRoot, 'docs/processors'))).filter((name) => name.endsWith('.md'))
  expect(pages.sort()).toEqual(['amqp.md', 'email.md', 'http-callbacks.md', 'payments.md', 'reports.md'])
})
