/** A producer that wakes whom it sends to: over real HTTP, with a worker that answers, refuses, or is not there. */
import { createServer, type Server } from 'node:http'
import postgres from 'postgres'
import { afterAll, afterEach, beforeEach, describe, expect, inject, test } from 'vitest'
import { createProducer, SetupError } from '../../src/library.ts'
import { createWaker } from '../../src/services/waker.ts'
import { freePort } from '../support/cli.ts'
import { listenOn } from '../support/ports.ts'
import { createInspector, uniqueQueue } from '../support/queues.ts'
import { openTransport } from '../support/transports.ts'
import { until } from '../support/worker.ts'

const stack = inject('stack')
const sql = postgres(stack.databaseUrl, { max: 1, onnotice: () => {} })
const look = createInspector(sql)
let server: Server
let port = 0
let asked: { method: string | undefined; url: string | undefined; authorization: string | undefined }[] = []
let statuses: number[] = []
const failures: string[] = []
const onFailure = (why: string) => void failures.push(why)

beforeEach(async () => {
  asked = []
  failures.length = 0
  port = await freePort()
  server = createServer(({ method, url, headers: { authorization } }, response) => {
    asked.push({ method, url, authorization })
    response.writeHead(statuses.shift() ?? 202).end()
  })
  await listenOn(server, port)
})
afterEach(async () => {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})
afterAll(() => sql.end())

const address = () => `http://127.0.0.1:${port}/wake`

describe.each(['rpc', 'postgres'] as const)('a producer over %s', (kind) => {
  test('asks after its first send and once more for all that followed, with its token; close leaves nothing unsaid', async () => {
    const queue = uniqueQueue('w')
    await sql`select queue_worker.ensure_queue(${queue}, false)`
    const wake = { url: address(), token: 'the-token', onFailure }
    const producer = createProducer(openTransport(kind, stack), undefined, { wake })
    await producer.send(queue, { n: 0 })
    await until('the worker was asked', () => asked.length === 1)
    expect(await look.messages(queue)).toHaveLength(1)
    for (let n = 1; n < 20; n++) await producer.send(queue, { n })
    await producer.close()
    expect(asked).toEqual(Array(2).fill({ method: 'POST', url: '/wake', authorization: 'Bearer the-token' }))
    expect(failures).toEqual([])
    await look.drop(queue)
  })

  test('sends all the same when nobody can be woken, and tells of it', async () => {
    const queue = uniqueQueue('w')
    await sql`select queue_worker.ensure_queue(${queue}, false)`
    const wake = { url: `http://127.0.0.1:${await freePort()}/wake?token=secret`, onFailure }
    const producer = createProducer(openTransport(kind, stack), undefined, { wake })
    expect((await producer.send(queue, {})).msgId).toBe('1')
    await producer.close()
    expect(failures).toEqual([
      expect.stringMatching(/^the worker at http:\/\/127.* could not be woken: ECONNREFUSED$/),
    ])
    expect(failures[0]).not.toContain('secret')
    await look.drop(queue)
  })
})

test('a send that failed wakes nobody', async () => {
  const producer = createProducer(openTransport('rpc', stack), undefined, {
    wake: { url: address(), onFailure },
  })
  await expect(producer.send(uniqueQueue('missing'), {})).rejects.toMatchObject({ kind: 'missing_queue' })
  await producer.close()
  expect(asked).toEqual([])
})

test('what may pass is tried again, what will not is told at once', async () => {
  const waker = createWaker({ url: address(), onFailure })
  statuses = [503, 429, 202]
  waker.call()
  await until('it was told', () => asked.length === 3)
  expect(failures).toEqual([])
  statuses = [401]
  const refused = createWaker({ url: address(), token: 'wrong', onFailure })
  refused.call()
  await until('it gave up', () => failures.length === 1)
  expect([asked.length, failures]).toEqual([
    4,
    [expect.stringMatching(/could not be woken: it answers with HTTP 401$/)],
  ])
  await Promise.all([waker.close(), refused.close()])
})

test.each(['', 'worker.example.com/wake', 'ftp://worker/wake'])('"%s" is no address', (url) => {
  expect(() => createWaker({ url })).toThrow(SetupError)
})
