/** The client of callbacks against real servers: what arrives, where it does not go, and what of an answer is read. */
import { randomBytes } from 'node:crypto'
import { createServer, type Socket } from 'node:net'
import { Webhook } from 'standardwebhooks'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { RefusedAddressError, type Resolve } from '../../src/services/http/address-guard.ts'
import { type Callback, type CallbackClientSettings, createCallbackClient } from '../../src/services/http.ts'
import { createAuthority } from '../support/certificates.ts'
import { lastingPort, listenOn } from '../support/ports.ts'
import { startReceiver } from '../support/receiver.ts'
import { until } from '../support/worker.ts'

const cleanups: (() => Promise<unknown>)[] = []
let authority: Awaited<ReturnType<typeof createAuthority>>
beforeAll(async () => {
  authority = await createAuthority()
})
afterAll(() => authority.remove())
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function receiver(...given: Parameters<typeof startReceiver>) {
  const started = await startReceiver(...given)
  cleanups.push(started.stop)
  return started
}

const SECRET = `whsec_${randomBytes(32).toString('base64')}`
const LOCAL = ['127.0.0.1', '::1', 'localhost']

function send(
  callback: Partial<Callback> & { url: string },
  settings: Partial<CallbackClientSettings> = {},
  signal: AbortSignal = new AbortController().signal,
) {
  const client = createCallbackClient({ secrets: [SECRET], allowPrivate: LOCAL, ...settings })
  const least = { originKey: 'k1', method: 'POST', headers: {}, body: undefined, timeoutMs: 30_000 }
  return client.send({ ...least, ...callback }, signal)
}

/** Names lead where this says, one answer after the other; the last one stays. */
function resolving(...answers: string[]) {
  const asked: string[] = []
  const resolve: Resolve = (host, _options, done) => {
    const address = answers[Math.min(asked.push(host), answers.length) - 1] ?? ''
    done(null, [{ address, family: address.includes(':') ? 6 : 4 }])
  }
  return { asked, resolve }
}

describe('a callback', () => {
  test('arrives byte by byte, and the official library verifies it', async () => {
    const { origin, received } = await receiver()
    const body = '{"name":"Ünïcødé €"}'
    const headers = { 'content-type': 'application/json', 'x-tenant': 'a' }
    const answer = await send({ url: `${origin}/hook?a=1`, body, headers })
    expect(answer).toMatchObject({ status: 200, origin, redirectedTo: null, excerpt: '' })
    expect(received).toMatchObject([
      {
        method: 'POST',
        path: '/hook?a=1',
        body,
        headers: {
          ...headers,
          'webhook-id': 'msg_k1',
          'content-length': String(Buffer.byteLength(body)),
          connection: 'close',
          'user-agent': expect.stringMatching(/^queue-worker\/\d/),
        },
      },
    ])
    const [got] = received
    expect(new Webhook(SECRET).verify(got?.body ?? '', { ...got?.headers })).toEqual(JSON.parse(body))
  })

  test.each(['POST', 'PUT', 'PATCH', 'DELETE'])('with %s has its body and its length', async (method) => {
    const { origin, received } = await receiver()
    await send({ url: origin, method, body: 'hello' })
    expect(received).toMatchObject([{ method, body: 'hello', headers: { 'content-length': '5' } }])
    expect(received[0]?.headers).not.toHaveProperty('transfer-encoding')
  })

  test('without a secret is not signed', async () => {
    const { origin, received } = await receiver()
    await send({ url: origin, body: 'x' }, { secrets: [] })
    expect(received[0]?.headers).toMatchObject({ 'webhook-id': 'msg_k1' })
    expect(received[0]?.headers).not.toHaveProperty('webhook-signature')
  })

  test('goes over TLS to who has a certificate of the authority in the settings', async () => {
    const { port, received } = await receiver(undefined, await authority.sign('localhost'))
    await send({ url: `https://localhost:${port}/`, body: 'x' }, { caFile: authority.caFile })
    expect(received).toHaveLength(1)
  })
})

describe('where it does not go', () => {
  test('a private address, also behind a name, and the server there sees nothing', async () => {
    const { port, received, open } = await receiver()
    const nothing = { allowPrivate: [] }
    for (const host of ['127.0.0.1', 'localhost', '2130706433', '[::ffff:127.0.0.1]'])
      await expect(send({ url: `http://${host}:${port}/` }, nothing)).rejects.toThrow(RefusedAddressError)
    const { resolve } = resolving('127.0.0.1')
    const hidden = send({ url: `http://hook.example:${port}/` }, { allowPrivate: [], resolve })
    await expect(hidden).rejects.toThrow('hook.example, which is 127.0.0.1, is not on the public internet')
    expect([received.length, open()]).toEqual([0, 0])
  })

  test('a name is looked up once, and what was checked is what is connected to', async () => {
    const { port, received } = await receiver()
    // 127.0.0.2 stands for the internet. Who looked again after the check would get to the server.
    const { asked, resolve } = resolving('127.0.0.2', '127.0.0.1')
    const rebinding = { allowPrivate: ['127.0.0.2'], resolve }
    const url = `http://hook.example:${port}/`
    await expect(send({ url }, rebinding)).rejects.toThrow(/no answer from .*refused/)
    expect(asked).toEqual(['hook.example'])
    await expect(send({ url }, rebinding)).rejects.toThrow(RefusedAddressError)
    expect(received).toEqual([])
  })

  test('a name that leads elsewhere by the time of a redirect', async () => {
    const { port, received } = await receiver((_request, response) =>
      response.writeHead(308, { location: '/again' }).end(),
    )
    const { asked, resolve } = resolving('127.0.0.1', '10.0.0.1')
    const turning = send({ url: `http://hook.example:${port}/` }, { allowPrivate: ['127.0.0.1'], resolve })
    await expect(turning).rejects.toThrow('hook.example, which is 10.0.0.1,')
    expect([received.length, asked.length]).toEqual([1, 2])
  })

  test.each([
    ['another host', (port: number) => `http://localhost:${port}/other`],
    ['another port', (port: number) => `http://127.0.0.1:${port === 1 ? 2 : 1}/`],
    ['another scheme', (port: number) => `https://127.0.0.1:${port}/`],
    ['a file', () => 'file:///etc/passwd'],
    ['the metadata of a cloud', () => 'http://169.254.169.254/latest/'],
  ])('a redirect to %s is an answer, not a way', async (_what, target) => {
    const { origin, port, received } = await receiver((_request, response) =>
      response.writeHead(307, { location: target(port) }).end('moved'),
    )
    const { origin: there, protocol } = new URL(target(port))
    expect(await send({ url: origin, body: 'x' })).toMatchObject({
      status: 307,
      redirectedTo: there === 'null' ? protocol : there,
    })
    expect(received).toHaveLength(1)
  })

  test.each([301, 302, 303, 304, 300])('%i on the same host is an answer too', async (status) => {
    const { origin, received } = await receiver((_request, response) =>
      response.writeHead(status, { location: '/other' }).end(),
    )
    expect(await send({ url: origin, body: 'x' })).toMatchObject({ status, redirectedTo: origin })
    expect(received).toHaveLength(1)
  })
})

test('307 and 308 within the same host keep method, body, headers and id, and are followed three times', async () => {
  const { origin, received } = await receiver(({ path }, response) => {
    const hop = Number(path.slice(1))
    if (hop === 3) response.end()
    else response.writeHead(hop % 2 ? 307 : 308, { location: `/${hop + 1}` }).end()
  })
  const headers = { authorization: 'Bearer x' }
  expect((await send({ url: `${origin}/0`, method: 'PUT', body: 'x', headers })).status).toBe(200)
  expect(received.map(({ path }) => path)).toEqual(['/0', '/1', '/2', '/3'])
  for (const one of received)
    expect(one).toMatchObject({ method: 'PUT', body: 'x', headers: { ...headers, 'webhook-id': 'msg_k1' } })
  received.splice(0)
  expect((await send({ url: `${origin}/-1`, body: 'x' })).status).toBe(308)
  expect(received.map(({ path }) => path)).toEqual(['/-1', '/0', '/1', '/2'])
})

describe('of an answer', () => {
  test('without end only the beginning is read; then the connection is closed', async () => {
    let sent = 0
    const { origin, open } = await receiver((_request, response) => {
      response.writeHead(200)
      const more = () => {
        sent += 16_384
        if (!response.destroyed) response.write('x'.repeat(16_384), () => setImmediate(more))
      }
      more()
    })
    expect((await send({ url: origin })).status).toBe(200)
    await until('the server sees it close', () => open() === 0)
    expect(sent).toBeLessThan(50_000_000)
  })

  test('whose status came in time, it counts, though its body does not end or breaks off', async () => {
    const { origin, open } = await receiver(({ path }, response) => {
      response.writeHead(path === '/refused' ? 400 : 202)
      response.write('so far', () => (path === '/endless' ? undefined : response.destroy()))
    })
    expect(await send({ url: `${origin}/refused` })).toMatchObject({ status: 400, excerpt: 'so far' })
    expect(await send({ url: `${origin}/breaks` })).toMatchObject({ status: 202, excerpt: '' })
    expect(await send({ url: `${origin}/endless`, timeoutMs: 2000 })).toMatchObject({ status: 202 })
    await until('the connection is closed', () => open() === 0)
  })

  test('one printable line is kept, without what the request had in it', async () => {
    const { origin } = await receiver((request, response) => {
      const { authorization, 'webhook-signature': signature } = request.headers
      response.writeHead(422)
      response.end(`no\r\n\u0007 ${authorization} ${SECRET} ${request.path} ${signature} ${'x'.repeat(500)}`)
    })
    const { excerpt } = await send({
      url: `${origin}/services/T0123456789abcdef?token=query-secret-1`,
      headers: { authorization: 'Bearer header-secret-1' },
    })
    expect(excerpt).toMatch(/^no \[redacted\] \[redacted\] \/services\/\[redacted\]\?token=\[redacted\] v1,/)
    expect(excerpt).not.toMatch(/secret-1|whsec/)
    expect(excerpt.length).toBe(160)
  })

  test('early hints are not the status', async () => {
    const { origin } = await receiver((_request, response) =>
      response.writeEarlyHints({ link: '</a.css>; rel=preload' }, () => response.writeHead(500).end()),
    )
    expect((await send({ url: origin })).status).toBe(500)
  })

  test('the wait it asks for and its clock are told', async () => {
    const { origin } = await receiver((_request, response) =>
      response.writeHead(429, { 'retry-after': '7', date: 'Tue, 24 Nov 2026 10:05:00 GMT' }).end(),
    )
    const told = { status: 429, retryAfter: '7', date: 'Tue, 24 Nov 2026 10:05:00 GMT' }
    expect(await send({ url: origin })).toMatchObject(told)
  })
})

describe('without an answer', () => {
  test('the time limit ends it, and the connection', async () => {
    const { origin, open } = await receiver(() => {})
    await expect(send({ url: origin, timeoutMs: 200 })).rejects.toThrow(
      `${origin} did not answer within 200 ms`,
    )
    await until('the connection is closed', () => open() === 0)
  })

  test('the limit holds for a lookup that hangs, and over redirects', async () => {
    const hanging = send({ url: 'http://hook.example/', timeoutMs: 200 }, { resolve: () => {} })
    await expect(hanging).rejects.toThrow(/did not answer within 200 ms/)
    const { origin, received } = await receiver(({ path }, response) => {
      if (path === '/') response.writeHead(308, { location: '/slow' }).end()
    })
    await expect(send({ url: origin, timeoutMs: 2000 })).rejects.toThrow(/did not answer within 2000 ms/)
    expect(received).toHaveLength(2)
  })

  test('an abort ends it with its reason', async () => {
    const { origin, received, open } = await receiver(() => {})
    const controller = new AbortController()
    const sending = send({ url: origin }, {}, controller.signal)
    const ended = expect(sending).rejects.toThrow('stopping')
    await until('it is under way', () => received.length === 1)
    controller.abort(new Error('stopping'))
    await ended
    await until('the connection is closed', () => open() === 0)
  })

  test('what was wrong is told', async () => {
    const free = await lastingPort()
    await expect(send({ url: `http://127.0.0.1:${free}/` })).rejects.toThrow(
      `no answer from http://127.0.0.1:${free}: nothing accepts connections there (refused)`,
    )
    const error = Object.assign(new Error('getaddrinfo'), { code: 'ENOTFOUND' })
    const nowhere = send(
      { url: 'http://gone.example/' },
      { resolve: (_host, _options, done) => done(error, []) },
    )
    await expect(nowhere).rejects.toThrow('the name gone.example does not exist (DNS, ENOTFOUND)')
    const hangsUp = await rawServer((socket) => socket.destroy())
    await expect(send({ url: `http://127.0.0.1:${hangsUp}/` })).rejects.toThrow(/the connection was cut off/)
    const switches = await rawServer((socket) =>
      socket.end('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n'),
    )
    await expect(send({ url: `http://127.0.0.1:${switches}/` })).rejects.toThrow(
      /the connection was closed without an answer/,
    )
    const odd = await rawServer((socket) => socket.end('220 mail.example ESMTP\r\n'))
    await expect(send({ url: `http://127.0.0.1:${odd}/` })).rejects.toThrow(/no answer from .*Parse Error/)
    await expect(send({ url: `https://127.0.0.1:${odd}/` })).rejects.toThrow(
      /no encrypted connection could be agreed on/,
    )
  })

  test.each([
    ['nothing', ''],
    ['zeros', '\0'.repeat(1000)],
    ['hints without an end', 'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(1000)],
    ['headers without an end', `HTTP/1.1 200 OK\r\n${'a: b\r\n'.repeat(10_000)}`],
    ['a header too long', `HTTP/1.1 200 OK\r\na: ${'b'.repeat(100_000)}\r\n\r\n`],
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab'],
    ['a negative length', 'HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n'],
    ['a status without end', `HTTP/1.1 ${'2'.repeat(1000)} OK\r\n\r\n`],
    ['no status', 'HTTP/1.1 OK\r\n\r\n'],
  ])('%s instead of one is told, and holds nobody up', async (_what, bytes) => {
    const port = await rawServer((socket) => socket.end(bytes))
    await expect(send({ url: `http://127.0.0.1:${port}/`, body: 'x' })).rejects.toThrow(
      new RegExp(`^no answer from http://127.0.0.1:${port}: .{5,}`),
    )
  })

  test('a certificate is always verified, whatever the environment says', async () => {
    const { port, received } = await receiver(undefined, await authority.sign('localhost'))
    const before = process.env.NODE_TLS_REJECT_UNAUTHORIZED
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'
    try {
      await expect(send({ url: `https://localhost:${port}/` })).rejects.toThrow(
        /not issued by a CA that is trusted here/,
      )
      const { caFile } = authority
      await expect(send({ url: `https://127.0.0.1:${port}/` }, { caFile })).rejects.toThrow(
        /belongs to another name than 127.0.0.1/,
      )
    } finally {
      if (before === undefined) delete process.env.NODE_TLS_REJECT_UNAUTHORIZED
      else process.env.NODE_TLS_REJECT_UNAUTHORIZED = before
    }
    expect(received).toEqual([])
  })
})

async function rawServer(onConnection: (socket: Socket) => void): Promise<number> {
  const port = await lastingPort()
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => onConnection(socket))
  })
  await listenOn(server, port)
  cleanups.push(() => new Promise((resolve) => server.close(resolve)))
  return port
}
