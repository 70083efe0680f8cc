/** Sending over HTTP with everything that is no message: refused with 4xx, nothing is stored, and the next one is taken. */
import fc from 'fast-check'
import postgres from 'postgres'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { z } from 'zod'
import type { Queue } from '../../src/queue/contract.ts'
import { createQueue } from '../../src/queue/queue.ts'
import { createBearer } from '../../src/server/bearer.ts'
import { createEnqueueRoute } from '../../src/server/enqueue.ts'
import { createGuesses } from '../../src/server/guesses.ts'
import { type HealthServer, serveHealth } from '../../src/server/health.ts'
import { forAll, nastyText } from '../support/hostile.ts'
import { createInspector, uniqueQueue } from '../support/queues.ts'
import { openTransport } from '../support/transports.ts'

const TOKEN = 'a-token-that-nobody-may-see-0123456789'
const stack = inject('stack')
const sql = postgres(stack.databaseUrl, { max: 1, onnotice: () => {} })
const look = createInspector(sql)
const name = uniqueQueue('h')
let queue: Queue
let server: HealthServer

type Tree = { readonly left?: Tree | undefined }
const tree: z.ZodType<Tree> = z.lazy(() => z.object({ left: tree.optional() }))
const payload = z.union([z.strictObject({ n: z.number() }), z.strictObject({ tree })])

beforeAll(async () => {
  queue = createQueue(openTransport('rpc', stack))
  await queue.ensureQueue(name, { notify: false })
  const route = createEnqueueRoute({
    processors: [{ queue: name, payload }],
    send: queue.send,
    bearer: createBearer(
      [TOKEN],
      createGuesses(() => {}),
      'a test',
    ),
    logger: { warn: () => {} },
  })
  const health = () => ({ ready: true, stuck: null, parts: [] })
  server = await serveHealth({ host: '127.0.0.1', port: 0, health, routes: [route] })
})
afterAll(async () => {
  await server.close()
  await queue.close()
  await look.drop(name)
  await sql.end()
})

const post = (
  body: string | Buffer<ArrayBuffer>,
  headers: Record<string, string> = {},
  path = `/api/queues/${name}/messages`,
) =>
  fetch(`${server.url}${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json', ...headers },
    body,
  })
const stored = async () => (await look.messages(name)).length

async function stillTakes(): Promise<void> {
  const before = await stored()
  expect((await post(JSON.stringify({ message: { n: 1 } }))).status).toBe(201)
  expect(await stored()).toBe(before + 1)
}

/** What was answered tells of the mistake, and nothing of the program. */
async function expectRefused(response: Response): Promise<void> {
  const text = await response.text()
  expect([400, 404, 413, 415, 422], text).toContain(response.status)
  expect(JSON.parse(text)).toMatchObject({ error: expect.any(String) })
  expect(text).not.toMatch(/node_modules|\.ts:\d| {4}at /)
  expect(text).not.toContain(TOKEN)
}

const json = fc.oneof(
  fc.json({ maxDepth: 6 }),
  fc.anything({ maxDepth: 3 }).map((value) => {
    try {
      return JSON.stringify(value) ?? ''
    } catch {
      return ''
    }
  }),
  nastyText,
)

test('bodies of any kind', async () => {
  const before = await stored()
  const body = fc.oneof(
    json,
    fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
    fc
      .tuple(nastyText, json)
      .map(([field, value]) => `{"message": {"n": "x"}, ${JSON.stringify(field)}: ${value}}`),
    json.map((text) => `{"message": ${text}}`),
    json.map((text) => `{"messages": ${text}}`),
    json.map((text) => `{"messages": [{"message": {"n": 1}}, {"message": ${text}}]}`),
    fc.constantFrom('{"__proto__": {"message": {"n": 1}}}', '{"message": {"__proto__": {"n": 1}}}'),
  )
  await forAll(body, { runs: 300 }, async (one) => {
    // Those by chance that are messages are not what this is about.
    if (/"n": ?-?\d/.test(String(one)) && (await post(one)).status === 201) return
    await expectRefused(await post(one))
  })
  const fit = (await look.messages(name)).slice(before).map(({ message }) => message)
  for (const message of fit) expect(payload.safeParse(message).success).toBe(true)
  await stillTakes()
})

test('paths and headers of any kind', async () => {
  const before = await stored()
  const queueName = fc.oneof(
    nastyText.map((text) => encodeURIComponent(text.toWellFormed())),
    fc.constantFrom('%', '%ff', '..', 'pgmq.meta', `${name}_dlq`, name.toUpperCase(), `${name}%00`),
  )
  await forAll(queueName, { runs: 100 }, async (one) => {
    const response = await post('{"message": {"n": 1}}', {}, `/api/queues/${one}/messages`)
    // "." and ".." are gone from the path before it is sent.
    expect([404, 405]).toContain(response.status)
    await response.text()
  })
  const visible = nastyText.map((text) => text.replace(/[^\x21-\x7e]/g, '-'))
  const type = fc.oneof(
    visible,
    fc.constantFrom('text/plain', 'application/json; charset=latin1', 'application/jsonx'),
  )
  await forAll(type, { runs: 100 }, async (one) => {
    const response = await post('{"message": {"n": 1}}', { 'content-type': one })
    expect(response.status).toBe(415)
    await response.text()
  })
  expect((await post('{"message": {"n": 1}}', { 'content-encoding': 'gzip' })).status).toBe(415)
  expect(await stored()).toBe(before)
  await stillTakes()
})

test('what is nested without end, and what is too large', async () => {
  const before = await stored()
  const deep = (depth: number, open: string, close: string, inner: string) =>
    `{"message": ${open.repeat(depth)}${inner}${close.repeat(depth)}}`
  for (const depth of [1000, 10_000, 1_000_000]) {
    await expectRefused(await post(deep(depth, '[', ']', '1')))
    await expectRefused(await post(`{"message": {"tree": ${'{"left":'.repeat(depth)}1${'}'.repeat(depth)}}}`))
  }
  const large = 'x'.repeat(17 * 1024 * 1024)
  const refused = await post(`{"message": "${large}"}`).catch(() => null)
  // Who does not stop sending is cut off, and may see that instead of the answer.
  if (refused !== null) expect(refused.status).toBe(413)
  expect(await stored()).toBe(before)
  await stillTakes()
})
