/** The publisher and the amqp queue against a real RabbitMQ. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { UnrecoverableError } from '../../src/errors.ts'
import { amqpProcessor } from '../../src/processors/amqp.ts'
import { BrokerError } from '../../src/services/amqp-outage.ts'
import { brokerClient, messageOf, publisherFor } from '../support/amqp.ts'
import { createAuthority } from '../support/certificates.ts'
import { engineBench } from '../support/engine-bench.ts'
import { lastingPort, listenOn } from '../support/ports.ts'
import { startProxy } from '../support/proxy.ts'
import { uniqueQueue } from '../support/queues.ts'
import { type Rabbit, startRabbit, withoutRabbit } from '../support/rabbitmq.ts'
import { until } from '../support/worker.ts'

let rabbit: Rabbit
let broker: ReturnType<typeof brokerClient>
let authority: Awaited<ReturnType<typeof createAuthority>>
let tlsPort = 0
const cleanups: (() => Promise<unknown>)[] = []

describe.skipIf(withoutRabbit !== '')(`against a real RabbitMQ${withoutRabbit}`, () => {
  beforeAll(async () => {
    authority = await createAuthority()
    tlsPort = await lastingPort()
    const folder = await mkdtemp(join(tmpdir(), 'queue-worker-amqp-'))
    cleanups.push(() => rm(folder, { recursive: true }))
    const { key, cert } = await authority.sign('localhost')
    await writeFile(join(folder, 'key.pem'), key)
    await writeFile(join(folder, 'cert.pem'), cert)
    rabbit = await startRabbit({
      config: [
        `listeners.ssl.local = 127.0.0.1:${tlsPort}`,
        `ssl_options.cacertfile = ${authority.caFile}`,
        `ssl_options.certfile = ${join(folder, 'cert.pem')}`,
        `ssl_options.keyfile = ${join(folder, 'key.pem')}`,
        'max_message_size = 2000000',
      ],
    })
    broker = brokerClient(rabbit.url)
  })
  afterEach(async () => {
    for (const cleanup of opened.splice(0).reverse()) await cleanup()
  })
  afterAll(async () => {
    await rabbit?.stop()
    for (const cleanup of cleanups) await cleanup()
    await authority.remove()
  })

  const opened: (() => Promise<unknown>)[] = []
  const publisher = (...given: Parameters<typeof publisherFor>) => {
    const made = publisherFor(...given)
    opened.push(() => made.close())
    return made
  }
  const newQueue = async (
    ...options: Parameters<typeof broker.queue> extends [string, ...infer R] ? R : never
  ) => {
    const queue = uniqueQueue('mq')
    await broker.queue(queue, ...options)
    return queue
  }
  const failureOf = (publishing: Promise<void>): Promise<Error> =>
    publishing.then(
      () => new Error('it was published'),
      (error) => error,
    )

  test('a message arrives as it was meant: persistent, with its id, its properties and its headers', async () => {
    const queue = await newQueue()
    await broker.within((channel) => channel.bindQueue(queue, 'amq.topic', 'order.*'))
    const headers = {
      tenant: 'ä',
      tries: 3,
      big: 2 ** 40,
      ratio: 0.5,
      ok: true,
      none: null,
      list: [1, 'x', { a: [] }],
    }
    await publisher(rabbit.url).publish(
      messageOf({
        exchange: 'amq.topic',
        routingKey: 'order.created',
        data: { id: 7, name: 'grüße' },
        headers,
        priority: 4,
        expiration: 3_600_000,
        type: 'order.created',
        correlationId: 'c-1',
        replyTo: 'answers',
        appId: 'shop',
        contentEncoding: 'utf-8',
      }),
    )
    const [message, ...more] = await broker.take(queue)
    expect(more).toEqual([])
    expect(message?.fields).toMatchObject({ exchange: 'amq.topic', routingKey: 'order.created' })
    expect(JSON.parse(String(message?.content))).toEqual({ id: 7, name: 'grüße' })
    expect(message?.properties).toMatchObject({
      deliveryMode: 2,
      messageId: 'm-1',
      timestamp: 1_700_000_000,
      contentType: 'application/json',
      contentEncoding: 'utf-8',
      headers,
      priority: 4,
      expiration: '3600000',
      type: 'order.created',
      correlationId: 'c-1',
      replyTo: 'answers',
      appId: 'shop',
    })
  })

  test('texts and bytes go as they are, empty or larger than a frame', async () => {
    const queue = await newQueue()
    const made = publisher(rabbit.url)
    const large = Buffer.alloc(1_000_000, 'ab')
    for (const body of [{ data: '' }, { data: 'plain' }, { dataBase64: large.toString('base64') }])
      await made.publish(messageOf({ queue, ...body }))
    const bodies = (await broker.take(queue)).map(({ content }) => content)
    expect(bodies.slice(0, 2).map(String)).toEqual(['', 'plain'])
    expect(bodies[2]?.equals(large)).toBe(true)
  })

  test('what the broker refuses is told by exchange and key, and harms no message beside it', async () => {
    const queue = await newQueue()
    const full = await newQueue({ maxLength: 1, overflow: 'reject-publish' })
    const made = publisher(rabbit.url)
    await made.publish(messageOf({ queue: full }))
    const good = Array.from({ length: 60 }, (_, n) =>
      made.publish(messageOf({ queue, data: n }, `good-${n}`)),
    )
    const bad = [
      [{ exchange: 'nowhere', routingKey: 'a.key' }, /no exchange "nowhere" .* routing key "a.key"/],
      [{ exchange: 'amq.topic', routingKey: 'nobody' }, /"amq.topic" has no binding .* key "nobody"/],
      [{ queue: 'missing' }, /has no queue "missing" in the vhost "\/"/],
      [{ queue: full }, /nack/],
    ] as const
    const refused = [...bad, ...bad, ...bad].map(async ([payload, words]) => {
      const error = await failureOf(made.publish(messageOf(payload)))
      expect(error).not.toBeInstanceOf(BrokerError)
      expect(error).not.toBeInstanceOf(UnrecoverableError)
      expect(error.message).toMatch(words)
    })
    await Promise.all([...good, ...refused])
    const ids = (await broker.take(queue)).map(({ properties }) => properties.messageId)
    expect(ids.sort()).toEqual(Array.from({ length: 60 }, (_, n) => `good-${n}`).sort())
  })

  test('a message that the broker will never take is final', async () => {
    const queue = await newQueue()
    const made = publisher(rabbit.url)
    const large = await failureOf(made.publish(messageOf({ queue, data: 'x'.repeat(2_000_001) })))
    expect(large).toBeInstanceOf(UnrecoverableError)
    expect(large.message).toMatch(/message size 2000001 is larger than configured max size 2000000/)
    await made.publish(messageOf({ queue }))
    expect(await broker.take(queue)).toHaveLength(1)
  })

  test('a wrong login, vhost and permission are told with what to do, and without the password', async () => {
    const at = (login: string, vhost = '') => publisher(`amqp://${login}@127.0.0.1:${rabbit.port}${vhost}`)
    await rabbit.ctl(
      'eval',
      `rabbit_auth_backend_internal:add_user(<<"reader">>, <<"sesame77">>, <<"t">>),
       rabbit_auth_backend_internal:set_permissions(<<"reader">>, <<"/">>, <<"">>, <<"">>, <<".*">>, <<"t">>).`,
    )
    const queue = await newQueue()
    const login = await failureOf(at('guest:sesame77').publish(messageOf({ queue })))
    expect(login).toMatchObject({ name: 'BrokerError', kind: 'login' })
    expect(login.message).toMatch(/refused the login of guest.*Check user and password in AMQP_URL/)
    const vhost = await failureOf(at('guest:guest', '/no%2Fwhere').publish(messageOf({ queue })))
    expect(vhost).toMatchObject({ kind: 'forbidden' })
    expect(vhost.message).toMatch(/the vhost "no\/where".*AMQP_URL/)
    const permission = await failureOf(at('reader:sesame77').publish(messageOf({ queue })))
    expect(permission.message).toMatch(/does not let reader publish.*set_permissions/)
    for (const error of [login, vhost, permission]) expect(`${error.stack}`).not.toContain('sesame77')
  })

  test('TLS is verified: the own authority by its file, another one and another name not', async () => {
    const queue = await newQueue()
    const { caFile } = authority
    await publisher(`amqps://localhost:${tlsPort}`, { caFile }).publish(messageOf({ queue }))
    expect(await broker.take(queue)).toHaveLength(1)
    const kinds = await Promise.all([
      failureOf(publisher(`amqps://localhost:${tlsPort}`).publish(messageOf({ queue }))),
      failureOf(publisher(`amqps://127.0.0.1:${tlsPort}`, { caFile }).publish(messageOf({ queue }))),
      failureOf(publisher(`amqps://localhost:${rabbit.port}`, { caFile }).publish(messageOf({ queue }))),
      failureOf(publisher(`amqp://localhost:${tlsPort}`).publish(messageOf({ queue }))),
    ])
    expect(kinds.map((error) => (error instanceof BrokerError ? error.kind : error))).toEqual([
      'untrusted_ca',
      'tls',
      'tls',
      'disconnected',
    ])
  })

  test('while the broker is short of memory messages wait, and go when it is not', async () => {
    const queue = await newQueue()
    const patient = publisher(rabbit.url, { answerTimeoutMs: 100_000 })
    const hasty = publisher(rabbit.url, { answerTimeoutMs: 1000, idleTimeoutMs: 20 })
    await rabbit.ctl('set_vm_memory_high_watermark', '0.00001')
    try {
      const error = await failureOf(hasty.publish(messageOf({ queue }, 'stuck')))
      expect(error).toMatchObject({ name: 'BrokerError', kind: 'exhausted' })
      expect(error.message).toMatch(/takes no messages at the moment \(low on memory\)/)
      // Known to be blocked by now, and kept for that: nothing more is given away.
      expect(await rabbit.ctl('list_connections', 'state')).toMatch(/^blocked$/m)
      expect(await failureOf(hasty.publish(messageOf({ queue }, 'never')))).toMatchObject({
        kind: 'exhausted',
      })
      const stop = new AbortController()
      const aborted = failureOf(patient.publish(messageOf({ queue }, 'aborted'), { signal: stop.signal }))
      const waiting = patient.publish(messageOf({ queue }, 'waits'))
      stop.abort(new Error('the worker stops'))
      expect(await aborted).toMatchObject({ message: 'the worker stops' })
      await rabbit.ctl('set_vm_memory_high_watermark', '0.4')
      await waiting
    } finally {
      await rabbit.ctl('set_vm_memory_high_watermark', '0.4')
    }
    await hasty.publish(messageOf({ queue }, 'after'))
    const ids = (await broker.take(queue)).map(({ properties }) => properties.messageId)
    expect(ids).toEqual(expect.arrayContaining(['waits', 'after']))
    expect(ids).not.toContain('never')
  })

  /** A publisher whose way to the broker the test can break. */
  async function overProxy(settings: Parameters<typeof publisherFor>[1] = {}, parameters = '') {
    const proxy = await startProxy({ targetPort: rabbit.port })
    opened.push(() => proxy.stop())
    const made = publisher(`amqp://127.0.0.1:${proxy.port}${parameters}`, settings)
    const queue = await newQueue()
    await made.publish(messageOf({ queue }, 'first'))
    return { proxy, made, queue }
  }

  test('a connection that breaks before the confirm is a failure, and the next try makes a new one', async () => {
    const { proxy, made, queue } = await overProxy()
    proxy.set('held')
    const lost = failureOf(made.publish(messageOf({ queue }, 'twice')))
    proxy.cut()
    const error = await lost
    expect(error).not.toBeInstanceOf(BrokerError)
    expect(error.message).toMatch(
      /ended before it confirmed .*is not known; the next try gives it the same message id/,
    )
    proxy.set('pass')
    await made.publish(messageOf({ queue }, 'twice'))
    const ids = (await broker.take(queue)).map(({ properties }) => properties.messageId)
    expect(ids.slice(0, 2)).toEqual(['first', 'twice'])
  })

  test('a confirm that does not come is waited for until the limit', async () => {
    const { proxy, made, queue } = await overProxy({ answerTimeoutMs: 500 })
    proxy.set('held')
    const error = await failureOf(made.publish(messageOf({ queue })))
    expect(error.message).toMatch(/did not confirm the message for the queue .* within 500 ms/)
    proxy.set('pass')
    await made.publish(messageOf({ queue }, 'after'))
    await until('both are there', async () => (await broker.count(queue)) === 3)
  })

  test('a broker that fell silent is noticed by its heartbeat', async () => {
    const { proxy, made, queue } = await overProxy({}, '?heartbeat=1')
    proxy.set('silent')
    const error = await failureOf(made.publish(messageOf({ queue })))
    // Whichever of the two misses the other's first: the broker closes then.
    expect(error.message).toMatch(/Heartbeat timeout|Unexpected close/)
    proxy.set('pass')
    // A machine that stands still for two seconds is silence, too.
    const works = () =>
      made.publish(messageOf({ queue }, 'after')).then(
        () => true,
        () => false,
      )
    await until('it works again', works)
  })

  test('an abort waits a moment for the confirm of what is given away, and no longer', async () => {
    const { proxy, made, queue } = await overProxy({ abortGraceMs: 60_000 })
    const stop = new AbortController()
    proxy.set('held')
    const publishing = made.publish(messageOf({ queue }), { signal: stop.signal })
    // Its connection and channel are there already: by the next turn of the event loop it is given away.
    await new Promise(setImmediate)
    stop.abort(new Error('the worker stops'))
    proxy.set('pass')
    await publishing
    const hasty = await overProxy({ abortGraceMs: 0 })
    hasty.proxy.set('held')
    const aborted = failureOf(hasty.made.publish(messageOf({ queue }), { signal: AbortSignal.timeout(200) }))
    expect((await aborted).name).toBe('TimeoutError')
  })

  test('a server that says nothing is given up at the limit, with TLS as without', async () => {
    const server = createServer((socket) => socket.on('error', () => {}).resume())
    await listenOn(server, 0)
    opened.push(async () => server.close())
    const { port } = server.address() as AddressInfo
    const open = promisify(server.getConnections.bind(server))
    for (const scheme of ['amqp', 'amqps']) {
      const made = publisher(`${scheme}://127.0.0.1:${port}`, { connectTimeoutMs: 300 })
      const error = await failureOf(made.publish(messageOf({ queue: 'q' })))
      expect(error).toMatchObject({ kind: 'timeout' })
      expect(error.message).toMatch(/did not answer in time \(nothing within 300 ms\)/)
      await until('its connection is gone', async () => (await open()) === 0)
    }
  })

  test('a connection that nobody uses is closed, and made again for the next message', async () => {
    const { proxy, made, queue } = await overProxy({ idleTimeoutMs: 50 })
    await until('no connection is left', () => proxy.open() === 0)
    await Promise.all([1, 2, 3].map((n) => made.publish(messageOf({ queue }, `${n}`))))
    expect(proxy.accepted()).toBe(2)
    expect(await broker.take(queue)).toHaveLength(4)
  })

  test('an outage is told to the log once, and its end', async () => {
    const { proxy, queue } = await overProxy()
    const lines: unknown[] = []
    const log = {
      info: (...line: unknown[]) => lines.push(line),
      error: (...line: unknown[]) => lines.push(line),
    }
    const made = publisher(`amqp://127.0.0.1:${proxy.port}`, {}, log)
    proxy.set('hang-up')
    for (const _ of [1, 2, 3])
      expect(await failureOf(made.publish(messageOf({ queue })))).toBeInstanceOf(BrokerError)
    proxy.set('pass')
    await until('it works again', () =>
      made.publish(messageOf({ queue })).then(
        () => true,
        () => false,
      ),
    )
    await made.publish(messageOf({ queue }))
    const amqp = made.target
    expect(lines).toEqual([
      [{ amqp, kind: 'disconnected' }, expect.stringMatching(/hung up/)],
      [{ amqp }, expect.stringMatching(/can be used again/)],
    ])
  })

  test('closing hangs up, also on a broker that fell silent', async () => {
    const { proxy, made } = await overProxy()
    proxy.set('silent')
    await made.close()
    await until('no connection is left', () => proxy.open() === 0)
    await expect(made.publish(messageOf({ queue: 'q' }))).rejects.toThrow('The AMQP publisher is closed')
  })

  const benches = { rpc: engineBench('rpc'), postgres: engineBench('postgres') }
  const KINDS = ['rpc', 'postgres'] as const
  const processor = (queue: string, more: object = {}) => ({
    ...amqpProcessor({ queue, publisher: publisher(rabbit.url) }),
    backoff: { baseSeconds: 0.05, maxSeconds: 0.2 },
    ...more,
  })

  test.each(KINDS)(
    'over %s a message is published with its origin key, once its binding is there',
    async (kind) => {
      const bench = benches[kind]
      const [queue, target] = [await bench.newQueue(), await newQueue()]
      const key = uniqueQueue('key')
      await bench.start([processor(queue, { maxAttempts: 1000 })])
      await bench.send(queue, [{ exchange: 'amq.direct', routingKey: key, data: { id: 1 } }])
      await until('it failed', async () => (await bench.look.outcomes(queue)).length > 0)
      await broker.within((channel) => channel.bindQueue(target, 'amq.direct', key))
      await until('it is archived', async () => (await bench.archived(queue)) === 1)
      const [message, ...more] = await broker.take(target)
      const [row] = await bench.sql`
      select queue_worker.origin_key(${queue}, a.msg_id, a.enqueued_at) as key, extract(epoch from a.enqueued_at)::bigint as at
      from ${bench.look.table('a', queue)} a`
      expect(more).toEqual([])
      expect(message?.properties).toMatchObject({ messageId: row?.key, deliveryMode: 2 })
      expect(Math.abs(message?.properties.timestamp - Number(row?.at))).toBeLessThanOrEqual(1)
    },
  )

  test.each(KINDS)(
    'over %s the trace context of a message goes out with it; one in the payload wins',
    async (kind) => {
      const bench = benches[kind]
      const [queue, target] = [await bench.newQueue(), await newQueue()]
      const headers = {
        traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
        tracestate: 'a=1',
      }
      const own = { traceparent: '00-11111111111111111111111111111111-2222222222222222-00' }
      await bench.start([processor(queue)])
      const payload = { queue: target, data: 1 }
      await bench.typed.send([
        { queue, message: { ...payload, headers: { tenant: 't' } }, headers },
        { queue, message: { ...payload, headers: own }, headers },
      ])
      await until('both are archived', async () => (await bench.archived(queue)) === 2)
      const published = (await broker.take(target)).map(({ properties }) => properties.headers)
      expect(published).toHaveLength(2)
      expect(published).toContainEqual({ ...headers, tenant: 't' })
      expect(published).toContainEqual(own)
    },
  )

  test.each(KINDS)(
    'over %s what can never be published becomes a dead letter that says why',
    async (kind) => {
      const bench = benches[kind]
      const queue = await bench.newQueue()
      await bench.start([processor(queue, { maxAttempts: 2 })])
      await bench.send(queue, [
        { exchange: 'nowhere', routingKey: 'a.key', data: 1 },
        { queue: 'x'.repeat(256), data: 1 },
        { queue: 'q', data: 1, replyTo: 'amq.rabbitmq.reply-to' },
      ])
      await until('they are dead', async () => (await bench.look.deadLetters(queue)).length === 3)
      const letters = (await bench.look.deadLetters(queue)).map(({ message }) => message.dead_letter)
      const told = Object.fromEntries(letters.map(({ reason, error }) => [reason, error]))
      expect(told.attempts_exhausted).toMatch(/no exchange "nowhere" .* routing key "a.key"/)
      expect(told.invalid_payload).toMatch(/queue: queue is longer than 255 bytes/)
      expect(told.unrecoverable).toMatch(/PRECONDITION_FAILED/)
    },
  )

  /** Ten at a time are published until that fails; then it tells which were confirmed. */
  async function underFire() {
    const target = await newQueue()
    const made = publisher(rabbit.url)
    const confirmed: string[] = []
    const lane = async (name: number) => {
      for (let n = 0; ; n += 1) {
        const error = await made
          .publish(messageOf({ queue: target }, `${name}-${n}`))
          .catch((thrown) => thrown)
        if (error !== undefined) return expect(error.message).toMatch(/Messages wait|is not known/)
        confirmed.push(`${name}-${n}`)
      }
    }
    const lanes = Promise.all(Array.from({ length: 10 }, (_, name) => lane(name)))
    await until('some are confirmed', () => confirmed.length > 50)
    return { target, ended: lanes.then(() => confirmed) }
  }

  test('a broker that is shut down and started again costs no attempt, and nothing is lost', async () => {
    const target = await newQueue({ durable: true })
    const queues = await Promise.all(KINDS.map((kind) => benches[kind].newQueue()))
    const each = (run: (bench: (typeof benches)['rpc'], queue: string) => Promise<unknown>) =>
      Promise.all(KINDS.map((kind, index) => run(benches[kind], queues[index] ?? '')))
    await each((bench, queue) => bench.start([processor(queue)]))
    const messages = (from: number) =>
      Array.from({ length: 20 }, (_, n) => ({ queue: target, data: from + n }))
    await each((bench, queue) => bench.send(queue, messages(0)))
    await each((bench, queue) =>
      until('the first are done', async () => (await bench.archived(queue)) === 20),
    )

    const fire = await underFire()
    await rabbit.shutDown()
    const confirmed = await fire.ended
    await each((bench, queue) => bench.send(queue, messages(20)))
    await each((bench, queue) =>
      until('its breaker is open', async () => {
        const [counts] = await bench.typed.counts([queue])
        return counts?.breaker?.state === 'open' && counts.ready + counts.hidden === 20
      }),
    )
    await rabbit.start()
    await each((bench, queue) => bench.look.expire(queue))
    await each((bench, queue) =>
      until('all are archived', async () => {
        await bench.look.pass(queue, 1000)
        return (await bench.archived(queue)) === 40
      }),
    )
    await each(async (bench, queue) => {
      const outcomes = await bench.look.outcomes(queue)
      // Those that were read and not begun are given back.
      expect(outcomes.filter(({ outcome }) => outcome !== 'snooze' && outcome !== 'release')).toEqual([])
    })
    const kept = (await broker.take(fire.target)).map(({ properties }) => properties.messageId)
    expect(confirmed.filter((id) => !kept.includes(id))).toEqual([])
    // What is made visible while it runs is published twice.
    const numbers = new Set((await broker.take(target)).map(({ content }) => Number(content)))
    expect([...numbers].sort((a, b) => a - b)).toEqual(Array.from({ length: 40 }, (_, n) => n))
  })
})
