/** `queue-worker worker` that sleeps, as a platform sees it: quiet, well, woken by whoever may, and harmed by no kill. Over both transports. */
import postgres from 'postgres'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest'
import { createProducer } from '../../src/library.ts'
import { applyMigrations, listMigrations } from '../../src/services/migrations.ts'
import { brokerClient } from '../support/amqp.ts'
import { type Cli, endAll, folder, freePort, removeFolder, start, writeProcessors } from '../support/cli.ts'
import { connectionEnv, KINDS, type Kind, processorCode } from '../support/cli-env.ts'
import { createDatabase, type TestDatabase } from '../support/databases.ts'
import { standInForPgNet } from '../support/pg-net.ts'
import { startProxy } from '../support/proxy.ts'
import { createInspector, uniqueQueue } from '../support/queues.ts'
import { startRabbit, withoutRabbit } from '../support/rabbitmq.ts'
import { outwardConnections } from '../support/sockets.ts'
import { openTransport } from '../support/transports.ts'
import { until } from '../support/worker.ts'

const TOKEN = 'sleep-token-0123456789abcdef0123456789ab'
const WAKE_TOKEN = 'wake-token-0123456789abcdef0123456789abc'
const stack = inject('stack')
let cwd = ''
let queue = ''
let port = 0
beforeEach(async () => {
  cwd = await folder()
  queue = uniqueQueue()
  port = await freePort()
})
afterEach(async () => {
  await endAll()
  await removeFolder(cwd)
})

type Proxied = Awaited<ReturnType<typeof startProxy>>

/** 10 seconds are the least that the setting allows. */
function sleepy(
  kind: Kind,
  proxy: Proxied,
  databaseUrl = stack.databaseUrl,
  env: Record<string, string> = {},
): Cli {
  const [restUrl, sqlUrl] = [new URL(stack.url), new URL(databaseUrl)]
  for (const url of [restUrl, sqlUrl]) {
    url.hostname = '127.0.0.1'
    url.port = String(proxy.port)
  }
  const processors = writeProcessors(cwd, {
    'one.ts': processorCode(queue, `console.log('begun ' + payload.n)`),
  })
  const lead = connectionEnv(kind, { ...stack, url: restUrl.origin, databaseUrl: sqlUrl.href })
  const own = {
    ...{ PORT: String(port), PROCESSORS: processors, ADMIN_TOKEN: TOKEN, WORKER_WAKE_TOKEN: WAKE_TOKEN },
    ...{ WORKER_SLEEP_WHEN_IDLE_SECONDS: '10', WORKER_WOKEN_BY: 'request', SCHEDULER: 'off' },
  }
  return start(['start'], { cwd, env: { ...lead, ...own, ...env } })
}

const ask = (path: string, init: RequestInit = {}) => fetch(`http://127.0.0.1:${port}${path}`, init)
const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
const wake = (token = WAKE_TOKEN) => ask('/wake', { method: 'POST', headers: bearer(token) })
const healthOf = async () => {
  const response = await ask('/health')
  return { code: response.status, ...((await response.json()) as { status: string; state: string }) }
}

async function untilAsleep(proxy: Proxied): Promise<void> {
  await until(
    'it is asleep',
    async () => (await healthOf()).status === 'sleeping' && proxy.open() === 0,
    90_000,
  )
}

describe.each(KINDS)('over %s', (kind) => {
  const sql = postgres(stack.databaseUrl, { max: 2, onnotice: () => {} })
  const look = createInspector(sql)
  const send = (n: number) => sql`select pgmq.send(${queue}, ${sql.json({ n })}::jsonb)`
  let proxy: Proxied
  beforeEach(async () => {
    proxy = await startProxy({
      targetPort: Number(new URL(kind === 'rpc' ? stack.url : stack.databaseUrl).port),
    })
  })
  afterEach(async () => {
    await endAll()
    await proxy.stop()
    await look.drop(queue)
  })
  afterAll(() => sql.end())

  test('it sleeps without a connection, answers its platform, and is woken by /wake and by what is sent over HTTP', async () => {
    const cli = sleepy(kind, proxy)
    await cli.says(/reads/)
    await send(1)
    await cli.says(/begun 1/)
    await cli.says(/asleep, without any connection, until somebody asks for \/wake/)
    await untilAsleep(proxy)
    const accepted = proxy.accepted()
    for (const path of ['/health', '/api/health', '/readyz', '/livez', '/metrics', '/metrics.json'])
      expect([path, (await ask(path)).status]).toEqual([path, 200])
    expect(await (await ask('/metrics')).text()).toMatch(/queue_worker_\w+/)
    expect(await healthOf()).toMatchObject({ code: 200, status: 'sleeping', state: 'sleeping', reason: null })
    expect((await wake('x'.repeat(40))).status).toBe(401)
    expect((await ask('/wake')).status).toBe(401)
    expect(proxy.accepted()).toBe(accepted)

    await send(2)
    const woken = await wake()
    expect([woken.status, await woken.json()]).toEqual([202, { status: 'waking' }])
    await cli.says(/begun 2/)
    expect(await (await wake(TOKEN)).json()).toEqual({ status: 'awake' })
    expect(cli.text()).toMatch(/awake: a request for \/wake/)

    await untilAsleep(proxy)
    const sent = await ask(`/api/queues/${queue}/messages`, {
      method: 'POST',
      headers: { ...bearer(TOKEN), 'content-type': 'application/json' },
      body: JSON.stringify({ message: { n: 3 } }),
    })
    expect([sent.status, await sent.json()]).toEqual([201, { queue, msg_ids: ['3'], duplicates: [] }])
    await cli.says(/begun 3/)
    await until('all are archived', async () => (await look.archived(queue)).length === 3)
    cli.signal('SIGTERM')
    expect(await cli.ended).toBe(0)
    expect(cli.text()).not.toMatch(new RegExp(`${TOKEN}|${WAKE_TOKEN}`))
  })

  test('a producer wakes it', async () => {
    const cli = sleepy(kind, proxy, undefined, { WORKER_WOKEN_BY: 'producer' })
    await cli.says(/reads/)
    await untilAsleep(proxy)
    const url = `http://127.0.0.1:${port}/wake`
    const producer = createProducer(openTransport(kind, stack), undefined, {
      wake: { url, token: WAKE_TOKEN },
    })
    await producer.send(queue, { n: 1 })
    await cli.says(/begun 1/)
    await producer.close()
  })

  test('killed while it sleeps, it has lost nothing; told to stop, it ends at once with 0', async () => {
    const cli = sleepy(kind, proxy)
    await cli.says(/reads/)
    await untilAsleep(proxy)
    await send(1)
    cli.signal('SIGKILL')
    expect(await cli.ended).toBe('SIGKILL')
    await removeFolder(cwd)
    cwd = await folder()
    // As platforms do, the next request starts it again.
    const next = sleepy(kind, proxy)
    await next.says(/begun 1/)
    await untilAsleep(proxy)
    next.signal('SIGTERM')
    expect(await next.ended).toBe(0)
  })
})

describe('in a database of its own', () => {
  let database: TestDatabase
  let proxy: Proxied
  beforeAll(async () => {
    database = await createDatabase(stack)
    await applyMigrations(database.sql, await listMigrations())
    await standInForPgNet(database.sql)
    proxy = await startProxy({ targetPort: Number(new URL(stack.databaseUrl).port) })
  })
  afterAll(async () => {
    await endAll()
    await proxy.stop()
    await database.dispose()
  })

  test('it has no session while it sleeps; an insert wakes it through pg_net, here by whoever stands in for that', async () => {
    const { sql } = database
    const sessions = async () => {
      const found =
        await sql`select from pg_stat_activity where datname = current_database() and application_name = 'queue-worker'`
      return found.length
    }
    const cli = sleepy('postgres', proxy, database.url, { WORKER_WOKEN_BY: 'pg_net' })
    await cli.says(/reads/)
    expect(await sessions()).toBeGreaterThan(0)
    await sql`select queue_worker.wake_by(${`http://127.0.0.1:${port}/wake`}, token => ${WAKE_TOKEN})`
    for (const n of [1, 2]) {
      await untilAsleep(proxy)
      await until('it has no session', async () => (await sessions()) === 0)
      await sql`select pgmq.send(${queue}, ${sql.json({ n })}::jsonb)`
      // What the background worker of pg_net does with the requests of transactions that have committed.
      for (const { url, headers, body } of await sql`delete from net.asked returning url, headers, body`)
        expect((await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })).status).toBe(202)
      await cli.says(new RegExp(`begun ${n}`))
    }
  })
})

const here = process.platform === 'linux' ? withoutRabbit : ' (skipped: not Linux)'
test.skipIf(process.platform !== 'linux')(`mail server and broker see it go as well${here}`, async () => {
  const rabbit = withoutRabbit === '' ? await startRabbit() : undefined
  if (rabbit !== undefined)
    await brokerClient(rabbit.url).within(async (channel) => void (await channel.assertQueue('events')))
  const database = await createDatabase(stack)
  await applyMigrations(database.sql, await listMigrations())
  try {
    const { host, port: smtpPort, user, pass } = stack.smtp
    const smtp = { SMTP_HOST: host, SMTP_PORT: String(smtpPort), SMTP_USER: user, SMTP_PASS: pass }
    const cli = start(['worker'], {
      cwd,
      env: {
        ...connectionEnv('postgres', { ...stack, databaseUrl: database.url }),
        ...{ ...smtp, SMTP_FROM: 'me@example.com', SMTP_SECURE: 'off', PORT: String(port) },
        ...(rabbit === undefined ? {} : { AMQP_URL: rabbit.url }),
        ...{ WORKER_SLEEP_WHEN_IDLE_SECONDS: '10', WORKER_WOKEN_BY: 'request', SCHEDULER: 'off' },
      },
    })
    await cli.says(/reads email_queue/)
    const look = createInspector(database.sql)
    const queues = rabbit === undefined ? ['email_queue'] : ['email_queue', 'amqp']
    const messages: Record<string, object> = {
      email_queue: { to: 'ann@example.com', subject: 'Hi', text: 'Hi' },
      amqp: { queue: 'events', data: {} },
    }
    for (const n of [1, 2]) {
      for (const name of queues)
        await database.sql`select pgmq.send(${name}, ${database.sql.json((messages[name] ?? {}) as never)}::jsonb)`
      await ask('/wake')
      for (const name of queues)
        await until(`${name} is done`, async () => (await look.archived(name)).length === n)
      // Those to database, mail server and broker.
      expect(outwardConnections(cli.pid, port).length).toBeGreaterThan(queues.length)
      await until('it is asleep', async () => (await healthOf()).status === 'sleeping', 90_000)
      await until('nothing is connected', () => outwardConnections(cli.pid, port).length === 0)
    }
  } finally {
    await endAll()
    await rabbit?.stop()
    await database.dispose()
  }
})
