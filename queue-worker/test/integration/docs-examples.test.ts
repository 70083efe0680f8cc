/**
 * The SQL examples and our own commands of the README and of docs/, as they stand there, on the stack of `npm run dev`: they
 * run, and what they send is processed. What lies outside (tables of a shop, hosts, a broker's queues) is made here.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import postgres, { type Sql } from 'postgres'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { joinStack } from '../../src/embedded/stack.ts'
import { readState } from '../../src/embedded/state.ts'
import { EXAMPLES } from '../../src/processors/examples.ts'
import { createQueue } from '../../src/queue/queue.ts'
import { connectPostgres } from '../../src/services/postgres.ts'
import { connectSupabase } from '../../src/services/supabase.ts'
import { brokerClient } from '../support/amqp.ts'
import { type Cli, endAll, folder, projectRoot, removeFolder, start } from '../support/cli.ts'
import { blocksOf, PAGES, pageText } from '../support/doc-blocks.ts'
import { commandsOf } from '../support/doc-commands.ts'
import { runCommandsOf, runHere, runnableOf } from '../support/doc-run.ts'
import { statementsOf } from '../support/doc-statements.ts'
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
  create table orders (id int, callback_url text, shop text, email text, total numeric, created_at timestamptz default now());
  create table invoices (id int, order_id int, tenant text, total numeric);
  create table handled (message_id text primary key);
  select pgmq.create('orders');
  create role my_dashboard;
  -- Where somebody comes from.
  select queue_worker.ensure_queue('thumbnails', false), queue_worker.ensure_queue('tasks', false), queue_worker.ensure_queue('mail', false);
  create schema pgflow;
  create table pgflow.worker_functions (function_name text primary key, enabled boolean);
  insert into pgflow.worker_functions values ('tasks-worker', true);
  -- pg_cron is not here; what it would run each morning is run at once.
  create schema cron;
  create function cron.schedule(name text, at text, command text) returns int language plpgsql as
    'begin execute command; return 1; end';
  create function cron.unschedule(name text) returns boolean language sql as 'select true'`

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
async function untilEmpty(): Promise<void> {
  // What is sent for a day to come stays where it is.
  const waiting = served().map((queue) => `select from pgmq.q_${queue} where vt < now() + interval '1 day'`)
  const inOneLook = waiting.join(' union all ')
  await until('the queues are empty', async () => (await look.unsafe(inOneLook)).length === 0)
}

async function untilProcessed(): Promise<void> {
  await untilEmpty()
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

/** Runs the commands of a page; all of them must end with 0. */
async function runCommands(page: string): Promise<void> {
  const here = (word: string) =>
    word.replaceAll('http://127.0.0.1:3000', receiver.origin).replace('../', './')
  const ran = await runCommandsOf(page, cwd, here)
  expect(ran.length, page).toBeGreaterThan(0)
  for (const { command, code, said } of ran) expect(code, `${command}\n${said}`).toBe(0)
}

test('the commands of README.md', async () => {
  // The message and the dead letter that it names.
  for (const table of ['q_email_queue', 'q_email_queue_dlq'])
    await sql.unsafe(`alter table pgmq.${table} alter column msg_id restart with 41`)
  await sql`select pgmq.send('email_queue', '{"to": "nobody"}'::jsonb)`
  const letters = () => look`select from pgmq.q_email_queue_dlq`
  await until('it is a dead letter', async () => (await letters()).length === 1)
  await runCommands('README.md')
  expect((await runHere(['resume', 'email_queue'], cwd)).code).toBe(0)
  // What was redriven dies again, unless it was discarded before.
  await untilEmpty()
  await sql`delete from pgmq.q_email_queue_dlq where true`
})

const withCommands = PAGES.filter((page) => page !== 'README.md' && runnableOf(page).length > 0)

test.each(withCommands.map((page) => [page]))('the commands of %s', async (page) => {
  await runCommands(page)
})

test('a message exists exactly when its transaction commits: docs/guarantees.md', async () => {
  await runAll(statementsOf('docs/guarantees.md'))
  const sent =
    await look`select message ->> 'to' as to from pgmq.a_email_queue where message ->> 'to' in ('ghost@example.com', 'once@example.com')`
  expect(sent.map(({ to }) => to)).toEqual(['once@example.com'])
})

test.each([
  'docs/quick-start.md',
  'docs/how-messages-move.md',
  'docs/upgrading.md',
  'docs/migrating/edge-function.md',
  'docs/migrating/pgflow.md',
])('the SQL of %s', async (page) => {
  await runAll(statementsOf(page))
})

test('docs/upgrading.md quotes what the database answers a worker that is newer', async () => {
  const [page, newest] = [
    pageText('docs/upgrading.md'),
    await look`select queue_worker.protocol() + 1 as asked`,
  ]
  const request = look.json({ protocol: newest[0]?.asked })
  const error = await look`select queue_worker_status(${request}::jsonb)`.catch((thrown) => thrown)
  expect(page).toContain(`${error.message}\n`)
  expect(page).toContain(`What to do: ${error.hint}\n`)
})

test('docs/migrating/hand-written-loop.md gives messages that were read a clean history, and loses none', async () => {
  await sql`select pgmq.send_batch('thumbnails', array['{"n": 1}', '{"n": 2}', '{"n": 3}']::jsonb[])`
  await sql`select pgmq.read('thumbnails', 0, 2)`
  await sql`select pgmq.read('thumbnails', 300, 1)`
  await runAll(statementsOf('docs/migrating/hand-written-loop.md'))
  const left = await look`
    select (message ->> 'n')::int as n, read_ct, vt > now() as held from pgmq.q_thumbnails order by n`
  // The one that somebody holds is left alone; the other comes with a history of its own.
  expect([...left]).toEqual([
    { n: 1, read_ct: 2, held: true },
    { n: 2, read_ct: 0, held: false },
    { n: 3, read_ct: 0, held: false },
  ])
})

test('docs/security.md: roles with just the rights of a worker, over both ways in', async () => {
  await runAll(statementsOf('docs/security.md'))
  const [{ text: makeToken = '' } = {}] = blocksOf('docs/security.md').filter(
    ({ language }) => language === 'js',
  )
  const directory = join(cwd, '.queue-worker')
  const { jwtSecret } = readState(join(directory, 'stack.json'))?.secrets ?? expect.fail('there is no stack')
  const stack = (await joinStack({ directory })) ?? expect.fail('it does not run')
  const options = { env: { JWT_SECRET: jwtSecret }, encoding: 'utf8' } as const
  const key = execFileSync(process.execPath, ['--input-type=module', '--eval', makeToken], options).trim()
  const direct = new URL(stack.databaseUrl)
  direct.username = 'my_worker'
  direct.password = /my_worker login password '([^']+)'/.exec(pageText('docs/security.md'))?.[1] ?? ''
  const transports = {
    my_worker: connectPostgres({ url: direct.href }),
    queue_worker: connectSupabase({ url: stack.url, key, gatewayKey: stack.publishableKey }),
  }
  for (const [role, transport] of Object.entries(transports)) {
    const queue = createQueue(transport)
    expect(await queue.status()).toMatchObject({ role })
    await queue.ensureQueue('least', { notify: false })
    await queue.send([{ queue: 'least', message: { from: role } }])
    const read = await queue.read([{ queue: 'least', limit: 1, visibilityTimeoutSeconds: 30 }], 100_000)
    const settled = read.messages.map((receipt) => ({ receipt, outcome: { kind: 'archive' as const } }))
    expect(await queue.settle(settled, 'docs')).toMatchObject([{ status: 'ok' }])
    await queue.close()
  }
  // The gate stays shut without a key that it knows.
  const alone = createQueue(connectSupabase({ url: stack.url, key }))
  await expect(alone.status()).rejects.toMatchObject({ kind: 'wrong_key' })
  await alone.close()
  await expect(
    sql.begin((tx) => tx`set local role queue_worker`.then(() => tx`select from queue_worker.ledger`)),
  ).rejects.toMatchObject({ code: '42501' })
  // What only users who have logged in may ask for.
  const asUser = (claims: string) =>
    sql.begin(async (tx) => {
      await tx`set local role authenticated`
      await tx`select set_config('request.jwt.claims', ${claims}, true)`
      await tx`select request_report('2026-11-01')`
    })
  await expect(asUser('')).rejects.toMatchObject({ code: '42501' })
  await asUser('{"sub": "ann"}')
  await untilProcessed()
})

test.skipIf(spawnSync('curl', ['--version']).error !== undefined)('the request of docs/sql.md', async () => {
  const { url, secretKey } =
    (await joinStack({ directory: join(cwd, '.queue-worker') })) ?? expect.fail('none')
  const env = { ...process.env, SUPABASE_URL: url, SUPABASE_SECRET_KEY: secretKey }
  const [request = ''] = commandsOf('docs/sql.md')
  expect(
    JSON.parse(execFileSync('sh', ['-c', `${request} --silent`], { env, encoding: 'utf8' })),
  ).toMatchObject([{ duplicate: false }])
  await untilProcessed()
})

// Last, as it pauses a queue, limits it, and asks workers to stop.
test('docs/sql.md', async () => {
  await sql.unsafe('drop table orders cascade; create table orders (id int, email text)')
  await runAll(statementsOf('docs/sql.md').filter((statement) => !statement.includes('set_paused')))
  for (const statement of statementsOf('docs/sql.md').filter((one) => one.includes('set_paused')))
    await sql.unsafe(statement)
  expect(await look`select paused from queue_worker.queues where queue = 'email_queue'`).toEqual([
    { paused: true },
  ])
})
