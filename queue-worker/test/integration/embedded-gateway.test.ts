import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { connect, type Socket } from 'node:net'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { type Gateway, startGateway } from '../../src/embedded/gateway.ts'
import { listen } from '../../src/embedded/ports.ts'

const keys = {
  secretKey: 'sb_secret_s',
  publishableKey: 'sb_publishable_p',
  serviceRoleKey: 's.jwt',
  anonKey: 'a.jwt',
}
const apikey = keys.secretKey

let upstream: Server
let sockets: Set<Socket>
let gateway: Gateway
let url: string
beforeEach(async () => {
  sockets = new Set()
  upstream = createServer((request, answer) => {
    if (request.url?.startsWith('/hang')) return
    buffer(request).then((body) => {
      const { method, url, headers } = request
      answer.setHeader('content-type', 'application/json')
      answer.setHeader('content-range', '0-1/2')
      answer.end(JSON.stringify({ method, url, headers, length: body.length }))
    })
  })
  upstream.on('connection', (socket) => sockets.add(socket))
  gateway = await startGateway({ postgrestPort: await listen(upstream, 0), keys, preferredPort: 0 })
  url = `http://127.0.0.1:${gateway.port}`
})
afterEach(async () => {
  await gateway.close()
  upstream.closeAllConnections()
  await new Promise((resolve) => upstream.close(resolve))
})

test('the path loses its prefix; query, method and headers arrive, the key does not', async () => {
  const headers = { apikey, prefer: 'return=minimal' }
  const answer = await fetch(`${url}/rest/v1/table?select=a,b&c=eq.%C3%BC`, {
    method: 'PATCH',
    headers,
    body: 'x',
  })
  expect(answer.headers.get('content-range')).toBe('0-1/2')
  const seen = await answer.json()
  expect(seen).toMatchObject({
    method: 'PATCH',
    url: '/table?select=a,b&c=eq.%C3%BC',
    headers: { authorization: 'Bearer s.jwt', prefer: 'return=minimal' },
    length: 1,
  })
  expect(JSON.stringify(seen)).not.toContain(apikey)
})

test('the key may come in the address, and goes no further', async () => {
  const seen = await (await fetch(`${url}/rest/v1/?apikey=${keys.publishableKey}&a=eq.1`)).json()
  expect(seen).toMatchObject({ url: '/?a=eq.1', headers: { authorization: 'Bearer a.jwt' } })
})

test("a browser's question before a request needs no key; other paths lead nowhere", async () => {
  expect((await fetch(`${url}/rest/v1/table`, { method: 'OPTIONS' })).status).toBe(200)
  expect((await fetch(`${url}/rest/v1/table`)).status).toBe(401)
  for (const path of ['/', '/rest/v10', '/auth/v1/user']) {
    expect((await fetch(url + path, { headers: { apikey } })).status).toBe(404)
  }
})

test('large bodies pass in both directions, with known length and without', async () => {
  const body = Buffer.alloc(5_000_000, 'x')
  const send = async (content: RequestInit) => {
    const answer = await fetch(`${url}/rest/v1/rpc/f`, { method: 'POST', headers: { apikey }, ...content })
    return ((await answer.json()) as { length: number }).length
  }
  expect(await send({ body })).toBe(body.length)
  const stream = Readable.toWeb(Readable.from([body, body]))
  expect(await send({ body: stream, duplex: 'half' } as RequestInit)).toBe(2 * body.length)
})

test('many requests share few connections to PostgREST', async () => {
  for (let i = 0; i < 50; i++) await (await fetch(`${url}/rest/v1/x`, { headers: { apikey } })).text()
  expect(sockets.size).toBe(1)
})

test('a client that goes away frees the connection behind it', async () => {
  const stop = new AbortController()
  const asked = fetch(`${url}/rest/v1/hang`, { headers: { apikey }, signal: stop.signal })
  await vi.waitFor(() => expect(sockets.size).toBe(1), 10_000)
  stop.abort()
  await expect(asked).rejects.toThrow(/abort/)
  await vi.waitFor(() => expect([...sockets][0]?.destroyed).toBe(true), 10_000)
})

test('without PostgREST behind it the gateway says so with 503, for requests with a body too', async () => {
  upstream.closeAllConnections()
  await new Promise((resolve) => upstream.close(resolve))
  const answer = await fetch(`${url}/rest/v1/rpc/f`, {
    method: 'POST',
    headers: { apikey },
    body: 'x'.repeat(100_000),
  })
  expect(answer.status).toBe(503)
  expect(await answer.json()).toEqual({ message: 'PostgREST does not answer' })
})

test('an address that cannot be read harms nobody', async () => {
  const socket = connect(gateway.port, '127.0.0.1')
  socket.write('GET // HTTP/1.1\r\nhost: x\r\n\r\n')
  const [answer] = await once(socket, 'data')
  expect(String(answer)).toMatch(/^HTTP\/1\.1 40\d/)
  socket.destroy()
  expect((await fetch(`${url}/rest/v1/x`, { headers: { apikey } })).status).toBe(200)
})
