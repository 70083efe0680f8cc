/** Traces through a real stack with the real OpenTelemetry SDK: from a sender to what its message sets going. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { SpanKind } from '@opentelemetry/api'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { z } from 'zod'
import { loadConfig } from '../../src/config.ts'
import {
  createProducer,
  createWorker,
  defineProcessor,
  snooze,
  UnrecoverableError,
} from '../../src/library.ts'
import { httpCallbacksProcessor } from '../../src/processors/http-callbacks.ts'
import { createCallbackClient } from '../../src/services/http.ts'
import { folder, removeFolder } from '../support/cli.ts'
import { engineBench, payload } from '../support/engine-bench.ts'
import { startReceiver } from '../support/receiver.ts'
import { startSdk, summary } from '../support/spans.ts'
import { openTransport } from '../support/transports.ts'
import { until } from '../support/worker.ts'

let sdk: ReturnType<typeof startSdk>
beforeAll(() => {
  sdk = startSdk()
})
afterAll(() => sdk.stop())

const FOREIGN = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'

describe.each(['rpc', 'postgres'] as const)('a trace over %s', (kind) => {
  const bench = engineBench(kind)
  let producer: ReturnType<typeof createProducer>
  beforeAll(() => {
    producer = createProducer(openTransport(kind, inject('stack')))
  })
  afterAll(() => producer.close())
  const spans = (queue: string) => sdk.named(`process ${queue}`)
  const spansOf = async (queue: string, count: number) => {
    await until(`${count} spans of ${queue} have ended`, () => spans(queue).length === count)
    return spans(queue)
  }

  test('goes from the span of the sender to that of the delivery, and on to those of the processor', async () => {
    const queue = await bench.newQueue()
    const process = async () => void (await sdk.within(`inside ${queue}`, async () => {}))
    await bench.start([defineProcessor({ queue, payload, process })])
    const sender = await sdk.within('a request', () => producer.send(queue, { n: 1 }))
    const [span] = await spansOf(queue, 1)
    expect(summary(span)).toEqual({
      ...{ traceId: sender.traceId, parent: sender.spanId, outcome: 'archive', isError: false },
    })
    expect(span?.kind).toBe(SpanKind.CONSUMER)
    expect(span?.attributes).toEqual({
      'messaging.system': 'pgmq',
      'messaging.operation.name': 'process',
      'messaging.operation.type': 'process',
      'messaging.destination.name': queue,
      'messaging.message.id': sender.result.msgId,
      'queue_worker.delivery': 1,
      'queue_worker.attempt': 1,
      'queue_worker.outcome': 'archive',
    })
    const [inside] = sdk.named(`inside ${queue}`)
    expect(summary(inside)).toMatchObject({ traceId: sender.traceId, parent: span?.spanContext().spanId })
  })

  test('has a span for each delivery, with the error of those that failed, and no secret and no payload', async () => {
    const queue = await bench.newQueue()
    const connection = openTransport(kind, inject('stack'))
    const worker = createWorker({
      connection,
      queueDefaults: { backoff: { baseSeconds: 0.05, maxSeconds: 0.1 } },
      settings: { pollIntervalMs: 200 },
      logger: 'silent',
      secrets: ['the-secret-of-the-tests'],
      processors: [
        defineProcessor({
          queue,
          payload: z.object({ private: z.string() }),
          process(_, { attempt }) {
            if (attempt === 1) throw new TypeError('no entry with the-secret-of-the-tests')
            throw new UnrecoverableError('never')
          },
        }),
      ],
    })
    await worker.start()
    const sender = await sdk.within('a request', () => producer.send(queue, { private: 'my-diary' }))
    const [first, second] = await spansOf(queue, 2)
    await sdk.within('another', () => producer.send(queue, { private: 7 }))
    const third = (await spansOf(queue, 3))[2]
    await worker.stop('the test is over')
    const { traceId, spanId: parent } = sender
    expect(summary(first)).toEqual({ traceId, parent, outcome: 'retry', isError: true })
    expect(summary(second)).toEqual({ traceId, parent, outcome: 'dead', isError: true })
    expect(summary(third)).toMatchObject({ outcome: 'dead', isError: true })
    expect(first?.attributes).toMatchObject({ 'queue_worker.attempt': 1, 'error.type': 'TypeError' })
    expect(second?.attributes).toMatchObject({ 'queue_worker.attempt': 2, 'queue_worker.delivery': 2 })
    expect(first?.status.message).toMatch(/^no entry with /)
    const [exception] = first?.events ?? []
    expect(exception?.name).toBe('exception')
    expect(exception?.attributes).toMatchObject({
      'exception.type': 'TypeError',
      'exception.message': first?.status.message,
    })
    const all = JSON.stringify(
      [first, second, third].map((span) => [span?.attributes, span?.events, span?.status]),
    )
    expect(all).not.toMatch(/the-secret-of-the-tests|my-diary/)
  })

  test('shows a message that is put off as no error, and begins anew for one without a context', async () => {
    const queue = await bench.newQueue()
    let runs = 0
    const process = () => (runs++ === 0 ? snooze(0) : undefined)
    await bench.start([defineProcessor({ queue, payload, process })])
    await bench.send(queue, [{ n: 1 }])
    const [first, second] = (await spansOf(queue, 2)).map(summary)
    expect([first, second]).toMatchObject([
      { outcome: 'snooze', isError: false, parent: undefined },
      { outcome: 'archive', isError: false, parent: undefined },
    ])
    expect(first?.traceId).not.toBe(second?.traceId)
  })

  test('goes on with what the processor sends; headers that were given win', async () => {
    const [queue, next] = [await bench.newQueue(), await bench.newQueue()]
    const headers: unknown[] = []
    await bench.start([
      defineProcessor({
        queue,
        payload,
        process(_, { send }) {
          send(next, { n: 1 }, { headers: { tenant: 't' } })
          send(next, { n: 2 }, { headers: { traceparent: FOREIGN } })
        },
      }),
      defineProcessor({ queue: next, payload, process: (_, context) => void headers.push(context.headers) }),
    ])
    const sender = await sdk.within('a request', () => producer.send(queue, { n: 1 }))
    const [span] = await spansOf(queue, 1)
    const here = { traceId: sender.traceId, parent: span?.spanContext().spanId }
    const [, foreignTrace = '', foreignSpan = ''] = FOREIGN.split('-')
    const followers = (await spansOf(next, 2)).map(summary)
    expect(followers).toContainEqual({ ...here, outcome: 'archive', isError: false })
    expect(followers).toContainEqual({
      ...{ traceId: foreignTrace, parent: foreignSpan, outcome: 'archive', isError: false },
    })
    expect(headers).toContainEqual({ tenant: 't', traceparent: `00-${here.traceId}-${here.parent}-01` })
    expect(headers).toContainEqual({ traceparent: FOREIGN })
  })

  test('goes on in the child process in which a suspect runs alone', async () => {
    const queue = await bench.newQueue()
    const traceparent = FOREIGN
    const { msgId } = await producer.send(queue, { n: 1 }, { headers: { traceparent } })
    await bench.sql`update ${bench.look.table('q', queue)} set read_ct = 3` // died with its worker three times
    const cwd = await folder()
    const file = join(cwd, 'spans')
    const worker = createWorker({
      connection: openTransport(kind, inject('stack')),
      settings: { pollIntervalMs: 200 },
      logger: 'silent',
      processors: [defineProcessor({ queue, payload, process: () => {} })],
      processorModules: [fileURLToPath(new URL('../process/fixtures/traced.ts', import.meta.url))],
      environment: { ...process.env, TRACED_QUEUE: queue, TRACED_FILE: file },
    })
    await worker.start()
    await until('it is archived', async () => (await bench.archived(queue)) === 1)
    await worker.stop('the test is over')
    expect(existsSync(file)).toBe(true)
    const [span, ...more] = readFileSync(file, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    await removeFolder(cwd)
    const [, traceId, parent] = FOREIGN.split('-')
    expect(more).toEqual([])
    expect(span).toMatchObject({ name: `process ${queue}`, traceId, parent })
    expect(span.attributes).toMatchObject({
      'messaging.message.id': msgId,
      'queue_worker.outcome': 'archive',
    })
    expect(span.pid).not.toBe(process.pid)
    expect(spans(queue)).toEqual([])
  })

  test('goes out with callbacks', async () => {
    const queue = await bench.newQueue()
    const receiver = await startReceiver()
    const { callbacks } = loadConfig({
      HTTP_CALLBACKS_SECRET: `whsec_${Buffer.from('a secret of the tests, long enough').toString('base64')}`,
      HTTP_CALLBACKS_ALLOW_PRIVATE: '127.0.0.1',
    })
    await bench.start([
      httpCallbacksProcessor({ ...callbacks, queue, client: createCallbackClient(callbacks) }),
    ])
    const sender = await sdk.within('a request', () =>
      producer.send(
        queue,
        { url: receiver.origin, data: {} },
        { headers: { traceparent: FOREIGN, tracestate: 'a=1' } },
      ),
    )
    const [span] = await spansOf(queue, 1)
    await receiver.stop()
    const [, traceId = ''] = FOREIGN.split('-')
    expect(sender.traceId).not.toBe(traceId)
    expect(receiver.received[0]?.headers).toMatchObject({
      traceparent: `00-${traceId}-${span?.spanContext().spanId}-01`,
      tracestate: 'a=1',
    })
  })
})
