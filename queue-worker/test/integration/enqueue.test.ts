/** `POST /api/queues/{queue}/messages` of a running worker, as a program of somebody else uses it, over both transports. */
import postgres from 'postgres'
import { afterAll, afterEach, beforeEach, describe, expect, inject, test } from 'vitest'
import { type Cli, endAll, folder, freePort, removeFolder, start, writeProcessors } from '../support/cli.ts'
import { connectionEnv, KINDS, type Kind, processorCode } from '../support/cli-env.ts'
import { startProxy } from '../support/proxy.ts'
import { createInspector, uniqueQueue } from '../support/queues.ts'
import { until } from '../support/worker.ts'

const TOKEN = 'e2e-token-0123456789abcdef0123456789abcdef'
const stack = inject('stack')
const sql = postgres(stack.databaseUrl, { max: 2, onnotice: () => {} })
const look = createInspector(sql)
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
  await look.drop(queue)
  await removeFolder(cwd)
})
afterAll(() => sql.end())

function worker(kind: Kind, env: Record<string, string> = {}): Cli {
  const code = processorCode(
    queue,
    `console.log('begun ' + JSON.stringify(payload) + ' ' + context.originKey)`,
  )
  const schema = 'z.object({ to: z.email(), n: z.number().default(7) })'
  const processors = writeProcessors(cwd, { 'one.ts': code.replace('z.looseObject({})', schema) })
  const own = { PORT: String(port), ADMIN_TOKEN: TOKEN, PROCESSORS: processors }
  return start(['start'], { cwd, env: { ...connectionEnv(kind, stack), ...own, ...env } })
}

async function post(body: unknown, headers: Record<string, string> = {}, to = queue) {
  const response = await fetch(`http://127.0.0.1:${port}/api/queues/${to}/messages`, {
    method: 'POST',
    headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })
  const told = (await response.json()) as {
    msg_ids: string[]
    duplicates: string[]
    error: string
    fields: object[]
  }
  return { status: response.status, headers: response.headers, told }
}

const message = { to: 'ann@example.com' }

describe.each(KINDS)('over %s', (kind) => {
  test('messages are sent and processed: one, many, delayed, at a time, once for a key, with an origin key', async () => {
    const cli = worker(kind)
    await cli.says(/reads/)
    const one = await post({ message, origin_key: 'order-17' })
    expect([one.status, one.told]).toEqual([201, { queue, msg_ids: ['1'], duplicates: [] }])
    await cli.says(/begun \{"to":"ann@example.com","n":7\} order-17/)
    // What is stored is what was sent; the processor applies the defaults.
    await until('it is archived', async () => (await look.archived(queue)).length === 1)
    expect((await look.archived(queue))[0]?.message).toEqual(message)

    const at = '2199-01-02T03:04:05.678Z'
    const many = await post({
      messages: [
        { message, delay_seconds: 3600, headers: { trace: 'abc' } },
        { message, at },
      ],
    })
    expect([many.status, many.told.msg_ids]).toEqual([201, ['2', '3']])
    const [delayed, timed] = await look.messages(queue)
    expect(Number(delayed?.vt) - Number(delayed?.enqueued_at)).toBeGreaterThan(3_590_000)
    expect(delayed?.headers).toEqual({ trace: 'abc' })
    expect(timed?.vt.toISOString()).toBe(at)

    const first = await post({ message, at }, { 'idempotency-key': 'order-18' })
    const again = await post({ message, at, idempotency_key: 'order-18' })
    expect([first.status, first.told]).toEqual([201, { queue, msg_ids: ['4'], duplicates: [] }])
    expect([again.status, again.told]).toEqual([200, { queue, msg_ids: ['4'], duplicates: ['4'] }])
    cli.signal('SIGTERM')
    expect(await cli.ended).toBe(0)
    expect(cli.text()).not.toContain(TOKEN)
  })

  test('what the processor would refuse is refused, with field and reason, and all of the request with it', async () => {
    const cli = worker(kind)
    await cli.says(/reads/)
    const { status, told } = await post({ message: { to: 'nobody' } })
    expect(status).toBe(422)
    expect(told.fields).toEqual([{ field: 'message.to', reason: expect.stringMatching(/email/i) }])
    expect(told.error).toMatch(/^nothing was sent: message\.to: /)
    const many = await post({ messages: [{ message, delay_seconds: 60 }, { message: { to: 7 } }] })
    expect([many.status, many.told.fields]).toEqual([
      422,
      [{ field: 'messages.1.message.to', reason: expect.stringMatching(/expected string/i) }],
    ])
    // The database refuses this one, as no time of its own is so late.
    const late = await post({ message, at: '+275760-09-13T00:00:00Z' })
    expect(late.status).toBe(422)
    expect(await look.messages(queue)).toEqual([])
    expect(await look.archived(queue)).toEqual([])
  })

  test('while the database is away it answers 503, and what is sent again with its key is there once', async () => {
    const origin = new URL(kind === 'rpc' ? stack.url : stack.databaseUrl)
    const proxy = await startProxy({ targetPort: Number(origin.port) })
    origin.port = String(proxy.port)
    origin.hostname = '127.0.0.1'
    const env = kind === 'rpc' ? { SUPABASE_URL: origin.origin } : { DATABASE_URL: origin.href }
    try {
      const cli = worker(kind, env)
      await cli.says(/reads/)
      proxy.set('hang-up')
      proxy.cut()
      const refused = await post({ message, delay_seconds: 60 }, { 'idempotency-key': 'once' })
      expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '5'])
      expect(refused.told.error).toMatch(/the database cannot be used now \(\w+\); send it again later/)
      proxy.set('pass')
      const send = () => post({ message, delay_seconds: 60 }, { 'idempotency-key': 'once' })
      await until('it is taken', async () => [200, 201].includes((await send()).status))
      expect((await send()).status).toBe(200)
      expect(await look.messages(queue)).toHaveLength(1)
      expect(cli.running()).toBe(true)
    } finally {
      await proxy.stop()
    }
  })
})

test('nobody gets in without the token; the log tells of wrong ones once, and never which', async () => {
  const cli = worker('rpc')
  await cli.says(/reads/)
  const url = `http://127.0.0.1:${port}/api/queues/${queue}/messages`
  const bare = await fetch(url, { method: 'POST', body: '{}' })
  expect([bare.status, bare.headers.get('www-authenticate')]).toEqual([401, 'Bearer realm="queue-worker"'])
  const guess = 'guess-0123456789abcdef0123456789abcdef'
  const tries = Array.from({ length: 40 }, () => post({ message }, { authorization: `Bearer ${guess}` }))
  const statuses = (await Promise.all(tries)).map(({ status }) => status)
  expect([
    statuses.filter((one) => one === 401).length,
    statuses.filter((one) => one === 429).length,
  ]).toEqual([30, 10])
  expect((await post({ message })).status).toBe(201)
  expect((await fetch(url, { headers: { authorization: `Bearer ${TOKEN}` } })).status).toBe(405)
  const elsewhere = await post({ message }, {}, 'another_queue')
  expect(elsewhere.status).toBe(404)
  expect(elsewhere.told).toEqual({ error: 'this worker serves no such queue', queues: [queue] })
  // The dashboard counts with it.
  const login = `http://127.0.0.1:${port}/dashboard/login`
  expect((await fetch(login, { method: 'POST', body: new URLSearchParams({ token: guess }) })).status).toBe(
    429,
  )
  expect(cli.text().match(/wrong tokens/g)).toHaveLength(1)
  expect(cli.text()).not.toMatch(new RegExp(`${TOKEN}|${guess}`))
})

test('without a token in the settings it is closed to everybody; one that is too short is no token', async () => {
  const cli = worker('rpc', { ADMIN_TOKEN: '' })
  await cli.says(/reads/)
  for (const authorization of ['Bearer undefined', 'Bearer null', `Bearer ${TOKEN}`]) {
    const { status, told } = await post({ message }, { authorization })
    expect([status, told.error]).toEqual([403, 'sending over HTTP is off: set ADMIN_TOKEN of the worker'])
  }
  expect(cli.text()).toMatch(/the dashboard is at http:\S+\/dashboard, closed: ADMIN_TOKEN, VIEWER_TOKEN or /)
  expect((await fetch(`http://127.0.0.1:${port}/dashboard/`)).status).toBe(403)
  await endAll()
  await removeFolder(cwd)
  cwd = await folder()
  const short = worker('rpc', { ADMIN_TOKEN: 'secret-but-short' })
  expect(await short.ended).toBe(3)
  expect(short.text()).toMatch(/ADMIN_TOKEN is too short or not a token; allowed: 32 to 200/)
  expect(short.text()).not.toContain('secret-but-short')
})
