import { cp, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import postgres from 'postgres'
import { Webhook } from 'standardwebhooks'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { brokerClient } from '../support/amqp.ts'
import { type Cli, endAll, folder, freePort, projectRoot, removeFolder, start } from '../support/cli.ts'
import { processesIn } from '../support/processes.ts'
import { startRabbit, withoutRabbit } from '../support/rabbitmq.ts'
import { startReceiver } from '../support/receiver.ts'
import { until } from '../support/worker.ts'

/** A copy of the project, so that a changed file disturbs nobody. */
let cwd = ''
beforeAll(async () => {
  cwd = await folder('queue-worker-dev-')
  for (const path of ['package.json', 'scripts', 'queue-worker/src', 'supabase', 'templates']) {
    await cp(join(projectRoot, path), join(cwd, path), { recursive: true })
  }
  await symlink(join(projectRoot, 'node_modules'), join(cwd, 'node_modules'))
  // As if it had been built, which `dev` does not need.
  await mkdir(join(cwd, 'dist'))
  await writeFile(join(cwd, 'dist/index.js'), '')
})
afterEach(endAll)
afterAll(() => removeFolder(cwd))

const READS = /reads email_queue/
/** What it says can be typed into psql, as it stands. */
const statements = (dev: Cli) =>
  [...dev.text().matchAll(/^ {2}(select pgmq\.send\(.*;)$/gm)].map(([, one = '']) => one)
const databaseOf = (dev: Cli) => {
  const [, url = ''] = /psql "([^"]+)"/.exec(dev.text()) ?? []
  return postgres(url, { max: 1, onnotice: () => {} })
}
const starts = (dev: Cli) => dev.text().split(READS).length - 1
/** The processes that run our entry, without npm and the watcher. */
const workers = () =>
  processesIn(cwd).filter(
    ({ command }) =>
      /^\S*node /.test(command) && /index\.ts dev/.test(command) && !/--watch-path/.test(command),
  )
/** PostgreSQL and PostgREST; what they fork comes and goes, and looks like them at first. */
function servers(): number[] {
  const found = processesIn(cwd).filter(({ command }) => /^\S*\/(postgrest|postgres) /.test(command))
  return found.filter(({ parent }) => found.every(({ pid }) => pid !== parent)).map(({ pid }) => pid)
}

test('npm run dev processes what SQL sends, answers the queries of A10, and restarts on a change', async () => {
  const dev = start(['run', 'dev'], { cwd, env: { PORT: String(await freePort()) }, command: ['npm'] })
  await dev.says(READS)
  const sql = databaseOf(dev)
  const mails = () => readdir(join(cwd, '.queue-worker/mail'))
  const send = () =>
    sql`select pgmq.send('email_queue', '{"to": "you@example.com", "subject": "Hi", "text": "Hello"}')`

  await send()
  await until('it is archived', async () => (await sql`select from pgmq.a_email_queue`).length === 1)
  expect(await mails()).toHaveLength(1)

  await sql`select pgmq.send('email_queue', '{"to": "later@example.com", "subject": "Hi", "text": "Hello"}', 3600)`
  const metrics =
    await sql`SELECT queue_length, newest_msg_age_sec, oldest_msg_age_sec, total_messages FROM pgmq_metrics('email_queue')`
  expect(metrics.map(({ queue_length, total_messages }) => [queue_length, total_messages])).toEqual([
    ['1', '2'],
  ])
  const queues = await sql`SELECT * FROM pgmq.list_queues()`
  expect(queues.map(({ queue_name }) => queue_name)).toEqual(
    expect.arrayContaining(['email_queue', 'email_queue_dlq']),
  )
  const newest = await sql`SELECT * FROM pgmq.email_queue ORDER BY enqueued_at DESC LIMIT 5`
  expect(newest.map(({ message }) => message.to)).toEqual(['later@example.com'])
  await sql.end()

  const [first] = workers()
  const serversBefore = servers().length
  expect(workers(), JSON.stringify(processesIn(cwd))).toHaveLength(1)
  await writeFile(join(cwd, 'queue-worker/src/version.ts'), '\n// changed\n', { flag: 'a' })
  await until('it has restarted', () => starts(dev) === 2, 60_000)
  expect(workers()).toHaveLength(1)
  expect(workers()[0]?.pid).not.toBe(first?.pid)
  expect([serversBefore, servers().length]).toEqual([2, 2])

  dev.interrupt()
  await dev.ended
  await until('nothing is left', () => processesIn(cwd).length === 0)
})

test('it serves the other queues as well, each with the line it tells to try', async () => {
  const receiver = await startReceiver()
  const dev = start(['dev'], { cwd, env: { PORT: 'off' } })
  await dev.says(READS)
  const sql = databaseOf(dev)
  try {
    expect(dev.text()).toMatch(/^ {2}amqp: is worked on when AMQP_URL leads to a broker$/m)
    expect(statements(dev).map((one) => one.split("'")[1])).toEqual([
      'email_queue',
      'reports',
      'payments',
      'http_callbacks',
    ])
    for (const statement of statements(dev))
      await sql.unsafe(statement.replace('http://127.0.0.1:3000', receiver.origin))

    const folders = join(cwd, '.queue-worker')
    expect(dev.text()).toContain(`reports: files land in ${join(folders, 'reports')}\n`)
    const isMailed = async () => {
      // There is no folder before the first mail, and one that is being written has another name.
      const names = await readdir(join(folders, 'mail')).catch(() => [])
      const whole = names.filter((name) => !name.startsWith('.'))
      const mails = await Promise.all(whole.map((name) => readFile(join(folders, 'mail', name), 'utf8')))
      return mails.some((mail) => /filename=daily_volume\.pdf/.test(mail))
    }
    await until('the report is mailed', isMailed)
    const [name = ''] = await readdir(join(folders, 'reports'))
    expect((await readFile(join(folders, 'reports', name))).subarray(0, 5).toString()).toBe('%PDF-')

    const payment = () => sql`select status, provider from public.payments where reference = 'order-1'`
    await until('the payment is made', async () => (await payment())[0]?.status === 'succeeded')
    expect((await payment())[0]?.provider).toBe('sandbox')

    await until('the callback has come', () => receiver.received.length === 1)
    const [{ body = '', headers = {} } = {}] = receiver.received
    const [, secret = ''] = /signed with (whsec_\S+)/.exec(dev.text()) ?? []
    expect(new Webhook(secret).verify(body, headers)).toEqual({ order: 'order-1' })

    // This machine may be called; the rest of the network may not.
    await sql`select pgmq.send('http_callbacks', '{"url": "http://10.0.0.1/"}')`
    const letters = () =>
      sql`select message -> 'dead_letter' ->> 'error' as error from pgmq.q_http_callbacks_dlq`
    await until('it is refused', async () => (await letters()).length === 1)
    expect((await letters())[0]?.error).toMatch(/10\.0\.0\.1 is not on the public internet/)
  } finally {
    await sql.end()
    await receiver.stop()
  }
  dev.signal('SIGTERM')
  expect(await dev.ended).toBe(0)
})

test.skipIf(withoutRabbit !== '')(`with a broker it serves amqp too${withoutRabbit}`, async () => {
  const rabbit = await startRabbit()
  try {
    const broker = brokerClient(rabbit.url)
    await broker.queue('orders')
    const dev = start(['dev'], { cwd, env: { PORT: 'off', AMQP_URL: rabbit.url } })
    await dev.says(READS)
    expect(dev.text()).toContain(`amqp: goes to the broker 127.0.0.1:${rabbit.port}`)
    const sql = databaseOf(dev)
    await sql.unsafe(statements(dev).at(-1) ?? '')
    await until('it has arrived', async () => (await broker.count('orders')) === 1)
    expect((await broker.take('orders')).map(({ content }) => content.toString())).toEqual([
      '{"order":"order-1"}',
    ])
    await sql.end()
    dev.signal('SIGTERM')
    expect(await dev.ended).toBe(0)
  } finally {
    await rabbit.stop()
  }
})

test('what is configured for a queue stays as it is, and its secrets are not told', async () => {
  const own = {
    PORT: 'off',
    HTTP_CALLBACKS_SECRET: `whsec_${Buffer.alloc(32, 9).toString('base64')}`,
    HTTP_CALLBACKS_ALLOW_PRIVATE: '10.1.0.0/16',
    REPORTS_DIR: join(cwd, 'my reports'),
    PAYMENTS_PROVIDER: 'stripe',
    STRIPE_SECRET_KEY: 'sk_test_of_the_shop',
    SMTP_HOST: 'smtp.example.com',
    SMTP_FROM: 'shop@example.com',
  }
  const dev = start(['dev'], { cwd, env: own })
  await dev.says(READS)
  expect(dev.text()).toContain('email_queue: mail goes out through smtp.example.com\n')
  expect(dev.text()).toContain(`reports: files land in ${own.REPORTS_DIR}\n`)
  expect(dev.text()).toContain('the provider is stripe\n')
  expect(dev.text()).toContain('may go to 10.1.0.0/16 as well; signed with your HTTP_CALLBACKS_SECRET\n')
  expect(dev.text()).not.toContain(own.HTTP_CALLBACKS_SECRET)
  expect(dev.text()).not.toContain(own.STRIPE_SECRET_KEY)
  dev.signal('SIGTERM')
  expect(await dev.ended).toBe(0)
})
