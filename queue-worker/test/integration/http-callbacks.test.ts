/** Callbacks through a whole worker on a real stack: what becomes of their messages. */
import postgres from 'postgres'
import { Webhook } from 'standardwebhooks'
import { afterAll, afterEach, describe, expect, inject, test } from 'vitest'
import { loadConfig } from '../../src/config.ts'
import { httpCallbacksProcessor } from '../../src/processors/http-callbacks.ts'
import { createQueue } from '../../src/queue/queue.ts'
import { createCallbackClient } from '../../src/services/http.ts'
import { endAll, folder, removeFolder, run } from '../support/cli.ts'
import { connectionEnv } from '../support/cli-env.ts'
import { createInspector, uniqueQueue } from '../support/queues.ts'
import { startReceiver } from '../support/receiver.ts'
import { openTransport } from '../support/transports.ts'
import { type TestWorker, testWorker, until } from '../support/worker.ts'

const stack = inject('stack')
const sql = postgres(stack.databaseUrl, { max: 2, onnotice: () => {} })
const look = createInspector(sql)
const SECRET = `whsec_${Buffer.from('a secret of the tests, long enough').toString('base64')}`
const cleanups: (() => Promise<unknown>)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})
afterAll(() => sql.end())

async function open(kind: 'rpc' | 'postgres', ...answer: Parameters<typeof startReceiver>) {
  const receiver = await startReceiver(...answer)
  cleanups.push(receiver.stop)
  const queue = uniqueQueue('h')
  const typed = createQueue(openTransport(kind, stack))
  await typed.ensureQueue(queue, { notify: false })
  cleanups.push(async () => {
    await typed.close()
    await look.drop(queue)
  })
  const { callbacks } = loadConfig({
    HTTP_CALLBACKS_SECRET: SECRET,
    HTTP_CALLBACKS_ALLOW_PRIVATE: '127.0.0.1',
  })
  const processor = httpCallbacksProcessor({ ...callbacks, queue, client: createCallbackClient(callbacks) })
  const worker: TestWorker = testWorker(kind, [
    { ...processor, backoff: { baseSeconds: 0.05, maxSeconds: 0.1 }, maxAttempts: 3 },
  ])
  await worker.start()
  cleanups.push(() => worker.stop('the test is over'))
  const send = (message: object) =>
    sql`select pgmq.send(${queue}::text, ${sql.json(message as never)}::jsonb)`
  const dead = async () => (await look.deadLetters(queue)).map(({ message }) => message)
  return { ...receiver, queue, send, dead, archived: () => look.archived(queue) }
}

describe.each(['rpc', 'postgres'] as const)('a callback over %s', (kind) => {
  test('that is answered with 2xx is archived, and the ledger has the status', async () => {
    const { origin, send, received, archived } = await open(kind, (_request, response) =>
      response.writeHead(202).end(),
    )
    await send({ url: origin, data: { a: 1 }, headers: { 'X-Tenant': 't' }, method: null })
    await send({ url: origin, data: 'as it is' })
    await until('both are archived', async () => (await archived()).length === 2)
    expect(received.map(({ body }) => body).sort()).toEqual(['as it is', '{"a":1}'])
    const [first] = received
    expect(
      new Webhook(SECRET).verify('{"a":1}', received.find(({ body }) => body !== 'as it is')?.headers ?? {}),
    ).toEqual({ a: 1 })
    const key = first?.headers['webhook-id']?.replace('msg_', '') ?? ''
    const ledger = await sql`select step, state, result from queue_worker.ledger where origin_key = ${key}`
    expect(ledger).toEqual([{ step: 'callback', state: 'done', result: { status: 202 } }])
    expect(new Set(received.map(({ headers }) => headers['webhook-id'])).size).toBe(2)
  })

  test('that is refused for now is sent again with the same id, when it was asked for', async () => {
    const asked: number[] = []
    const { origin, send, received, archived } = await open(kind, (_request, response) => {
      asked.push(performance.now())
      if (asked.length === 1) response.writeHead(429, { 'retry-after': '1' }).end()
      else if (asked.length === 2) response.destroy()
      else response.end()
    })
    await send({ url: origin, data: {} })
    await until('it is archived', async () => (await archived()).length === 1)
    expect(received).toHaveLength(3)
    expect(new Set(received.map(({ headers }) => headers['webhook-id'])).size).toBe(1)
    // The backoff alone would have been 50 ms at most.
    expect((asked[1] ?? 0) - (asked[0] ?? 0)).toBeGreaterThan(950)
  })

  test('that keeps failing is a dead letter with the last answer, and redriven keeps its id', async () => {
    let status = 500
    const { origin, queue, send, received, dead, archived } = await open(kind, (_request, response) =>
      response.writeHead(status).end('out of order'),
    )
    await send({ url: `${origin}/hook`, data: {} })
    await until('it is dead', async () => (await dead()).length === 1)
    expect((await dead())[0]?.dead_letter).toMatchObject({
      reason: 'attempts_exhausted',
      error: expect.stringContaining(`${origin} answered 500: out of order`),
    })
    expect(received).toHaveLength(3)
    status = 200
    await sql`select public.queue_worker_redrive(${sql.json({ protocol: 1, queue })})`
    await until('it is archived', async () => (await archived()).length === 1)
    expect(received).toHaveLength(4)
    expect(new Set(received.map(({ headers }) => headers['webhook-id'])).size).toBe(1)
  })

  test('that can never succeed is a dead letter at once, each with its reason', async () => {
    const { origin, send, received, dead } = await open(kind, ({ path }, response) => {
      if (path === '/moved') response.writeHead(301, { location: 'https://b.example/x' }).end()
      else response.writeHead(404).end('no such hook')
    })
    const expected: [object, string, RegExp][] = [
      [{ url: origin }, 'unrecoverable', /refused the callback with 404: no such hook/],
      [{ url: `${origin}/moved` }, 'unrecoverable', /answered 301, a redirect to https:\/\/b\.example/],
      [{ url: 'http://169.254.169.254/' }, 'unrecoverable', /is not on the public internet/],
      [{ url: 'mailto:a@b.example' }, 'invalid_payload', /only http:\/\/ and https:\/\//],
      [{ data: {} }, 'invalid_payload', /url must be a string/],
    ]
    for (const [message] of expected) await send(message)
    await until('all are dead', async () => (await dead()).length === expected.length)
    for (const [message, reason, error] of expected) {
      const letter = (await dead()).find((one) => JSON.stringify(one.message) === JSON.stringify(message))
      expect(letter?.dead_letter).toMatchObject({ reason, error: expect.stringMatching(error), attempts: 1 })
    }
    expect(received).toHaveLength(2)
  })
})

test('the command line makes them as the settings say, and keeps the secret to itself', async () => {
  const receiver = await startReceiver((_request, response) =>
    response.writeHead(404).end(`${SECRET} is wrong`),
  )
  cleanups.push(receiver.stop)
  const cwd = await folder()
  cleanups.push(() => removeFolder(cwd), endAll)
  const queue = 'http_callbacks'
  const typed = createQueue(openTransport('postgres', stack))
  await typed.ensureQueue(queue, { notify: false })
  cleanups.push(async () => {
    await typed.close()
    await look.drop(queue)
  })
  const data = { order: 4711 }
  await sql`select pgmq.send(${queue}::text, ${sql.json({ url: receiver.origin, data })}::jsonb)`
  const env = {
    ...connectionEnv('postgres', stack),
    HTTP_CALLBACKS_SECRET: SECRET,
    HTTP_CALLBACKS_ALLOW_PRIVATE: '127.0.0.0/8',
    LOG_LEVEL: 'trace',
  }
  const { text } = await run(['drain'], { cwd, env })
  const [received] = receiver.received
  expect(new Webhook(SECRET).verify(received?.body ?? '', received?.headers ?? {})).toEqual(data)
  expect(text).toMatch(/refused the callback with 404: \[redacted\] is wrong/)
  const [letter] = await look.deadLetters(queue)
  expect(letter?.message.dead_letter).toMatchObject({ reason: 'unrecoverable' })
  expect(text + JSON.stringify(letter)).not.toContain(SECRET.slice(6))
})
