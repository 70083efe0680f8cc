/** The health endpoint with everything that is no request of it: it answers 4xx or closes, and goes on answering others. */
import { connect, type Socket } from 'node:net'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type HealthServer, serveHealth } from '../../src/server/health.ts'
import { forAll, nastyText } from '../support/hostile.ts'
import { until } from '../support/worker.ts'

const SECRET = 'what-nobody-may-see'
let server: HealthServer
let port = 0
const sockets = new Set<Socket>()
let connected = 0

beforeAll(async () => {
  const health = () => ({
    ...{
      ready: true,
      reason: null,
      state: 'running' as const,
      transport: 'rpc' as const,
      wake: 'poll' as const,
    },
    ...{
      inFlight: 0,
      zombies: 0,
      unsettled: 0,
      queues: {},
      downMs: 0,
      parts: [],
      stuck: null,
      lastError: null,
    },
  })
  server = await serveHealth({ host: '127.0.0.1', port: 0, health })
  port = Number(new URL(server.url).port)
})
afterAll(async () => {
  for (const socket of sockets) socket.destroy()
  await server.close()
})

/** Writes the parts, one after the other, and resolves with what came back once the server has closed. */
async function raw(parts: readonly (string | Buffer)[], options: { end?: boolean } = {}): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  sockets.add(socket)
  socket.once('connect', () => {
    connected += 1
  })
  let answer = ''
  socket.setEncoding('latin1').on('data', (chunk: string) => {
    answer += chunk
  })
  const closed = new Promise<string>((resolve) => {
    socket.on('close', () => resolve(answer)).on('error', () => {})
  })
  for (const part of parts) {
    if (socket.destroyed) break
    await new Promise<void>((resolve) => socket.write(part, () => resolve()))
  }
  if (options.end !== false) socket.end()
  const result = await closed
  sockets.delete(socket)
  return result
}

const statusesOf = (answer: string) =>
  [...answer.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, code]) => Number(code))

async function stillAnswers(): Promise<void> {
  const response = await fetch(`${server.url}/health`)
  expect(response.status).toBe(200)
  expect(await response.json()).toMatchObject({ status: 'ok' })
}

const method = fc.oneof(
  fc.constantFrom(
    'GET',
    'HEAD',
    'POST',
    'PUT',
    'DELETE',
    'OPTIONS',
    'TRACE',
    'PATCH',
    'PROPFIND',
    'get',
    'QUERY',
  ),
  fc.string({ unit: 'grapheme-ascii', maxLength: 10 }),
)
const path = fc.oneof(
  fc.constantFrom(
    '/health',
    '/livez',
    '//',
    '/../../etc/passwd',
    '/health/..',
    '*',
    'http://example.com/health',
    '?',
  ),
  fc.webUrl(),
  nastyText.map((text) => `/${text}`),
)
const header = fc.tuple(
  fc.oneof(
    fc.constantFrom(
      'Host',
      'Content-Length',
      'Transfer-Encoding',
      'Connection',
      'Upgrade',
      'Expect',
      'Cookie',
      '__proto__',
    ),
    nastyText,
  ),
  fc.oneof(
    fc.constantFrom('chunked', '0', '-1', '99999999999', 'websocket', '100-continue', SECRET),
    nastyText,
  ),
)

test('arbitrary requests get 200, 4xx or nothing, tell nothing they were told, and harm no other', async () => {
  const request = fc.record({ method, path, headers: fc.array(header, { maxLength: 6 }), body: nastyText })
  await forAll(request, { runs: 150 }, async ({ method, path, headers, body }) => {
    const lines = [`${method} ${path} HTTP/1.1`, 'Host: x', `Authorization: Bearer ${SECRET}`]
    const text = [...lines, ...headers.map(([name, value]) => `${name}: ${value}`), '', body].join('\r\n')
    const answer = await raw([text])
    const statuses = statusesOf(answer)
    for (const status of statuses)
      expect(status === 100 || status === 200 || (status >= 400 && status < 500)).toBe(true)
    if (statuses.includes(200)) expect(text).toMatch(/(GET|HEAD) \S*(health|livez|readyz)/)
    expect(answer).not.toContain(SECRET)
    expect(answer).not.toMatch(/node_modules|\.ts:\d| {4}at /)
  })
  await stillAnswers()
})

test('what is no HTTP at all is answered with 400 or closed, also in pieces and behind a good request', async () => {
  const good = 'GET /livez HTTP/1.1\r\nHost: x\r\n\r\n'
  const bytes = fc.uint8Array({ minLength: 1, maxLength: 300 }).map((array) => Buffer.from(array))
  const pieces = fc.array(fc.oneof(bytes, fc.constant(good), fc.constant('\r\n'), fc.constant('GET /')), {
    minLength: 1,
    maxLength: 6,
  })
  await forAll(pieces, { runs: 150 }, async (parts) => {
    const statuses = statusesOf(await raw(parts))
    for (const status of statuses) expect(status === 200 || (status >= 400 && status < 500)).toBe(true)
    if (parts[0] === good) expect(statuses[0]).toBe(200)
  })
  await stillAnswers()
})

test('what is huge is refused: headers, address, and a body is not waited for', async () => {
  const megabyte = 'x'.repeat(1_000_000)
  expect(statusesOf(await raw([`GET /health HTTP/1.1\r\nHost: x\r\nA: ${megabyte}\r\n\r\n`]))).toEqual([431])
  expect(statusesOf(await raw([`GET /${megabyte} HTTP/1.1\r\nHost: x\r\n\r\n`]))).toEqual([431])
  const many = Array.from({ length: 3000 }, (_, n) => `A${n}: b`).join('\r\n')
  expect(statusesOf(await raw([`GET /health HTTP/1.1\r\nHost: x\r\n${many}\r\n\r\n`]))).toEqual([431])
  const posted = `POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\n${megabyte}`
  expect(statusesOf(await raw([posted]))).toEqual([405])
  await stillAnswers()
})

test('those who never finish asking neither keep others out nor stay for ever', async () => {
  const before = connected
  const slow = Array.from({ length: 300 }, (_, n) =>
    raw([`GET /health HTTP/1.1\r\nHost: x\r\nX-${n}: `], { end: false }),
  )
  const mute = Array.from({ length: 50 }, () => raw([], { end: false }))
  await until('all of them are connected', () => connected - before === 350)
  await stillAnswers()
  const answers = await Promise.all([...slow, ...mute])
  for (const answer of answers) expect([[], [408]]).toContainEqual(statusesOf(answer))
  await stillAnswers()
})
