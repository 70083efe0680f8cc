import postgres from 'postgres'
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest'
import { z } from 'zod'
import {
  defineProcessor,
  type Processor,
  RetryAfterError,
  snooze,
  UnrecoverableError,
} from '../../src/library.ts'
import { createQueue } from '../../src/queue/queue.ts'
import { createInspector, type Inspector, uniqueQueue } from '../support/queues.ts'
import { openTransport } from '../support/transports.ts'
import { type TestWorker, type TestWorkerOptions, testWorker, until } from '../support/worker.ts'

const payload = z.object({ n: z.number(), mode: z.string().default('ok') })

describe.each(['rpc', 'postgres'] as const)('the engine over %s', (kind) => {
  let sql: postgres.Sql
  let look: Inspector
  let workers: TestWorker[] = []
  const queues: string[] = []

  beforeAll(() => {
    sql = postgres(inject('stack').databaseUrl, { max: 2, onnotice: () => {} })
    look = createInspector(sql)
  })
  afterEach(async () => {
    await Promise.all(workers.map((worker) => worker.stop('the test is over', { hurry: true })))
    workers = []
  })
  afterAll(async () => {
    for (const queue of queues) await look.drop(queue)
    await sql.end()
  })

  async function newQueue(): Promise<string> {
    const queue = uniqueQueue()
    queues.push(queue)
    const transport = openTransport(kind, inject('stack'))
    await createQueue(transport).ensureQueue(queue, { notify: kind === 'postgres' })
    await transport.close()
    return queue
  }

  async function start(processors: Processor[], options?: TestWorkerOptions): Promise<TestWorker> {
    const worker = testWorker(kind, processors, options)
    workers.push(worker)
    await worker.start()
    return worker
  }

  async function send(queue: string, messages: object[]): Promise<void> {
    await sql`select pgmq.send_batch(${queue}::text, (select array_agg(m) from jsonb_array_elements(${sql.json(messages as never)}::jsonb) m))`
  }

  const archived = async (queue: string) => (await look.archived(queue)).length

  test('messages sent in SQL are processed once each and archived', async () => {
    const queue = await newQueue()
    const seen: number[] = []
    await start([defineProcessor({ queue, payload, process: ({ n }) => void seen.push(n) })])
    await send(
      queue,
      Array.from({ length: 1200 }, (_, n) => ({ n })),
    )
    await until('all are archived', async () => (await archived(queue)) === 1200)
    expect(seen.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 1200 }, (_, n) => n))
    expect(await look.messages(queue)).toHaveLength(0)
  })

  test('every way to end is recorded as what it is', async () => {
    const queue = await newQueue()
    const runs = new Map<string, number[]>()
    const worker = await start(
      [
        defineProcessor({
          queue,
          payload,
          maxAttempts: 3,
          async process({ mode }, context) {
            runs.set(mode, [...(runs.get(mode) ?? []), context.attempt])
            if (mode === 'flaky' && context.attempt < 3) throw new Error('not yet')
            if (mode === 'hopeless') throw new Error('never')
            if (mode === 'fatal') throw new UnrecoverableError('no such customer')
            if (mode === 'later' && runs.get(mode)?.length === 1) return snooze(0.2)
            if (mode === 'asked' && context.attempt === 1) throw new RetryAfterError(0.1)
          },
        }),
      ],
      {},
    )
    await send(
      queue,
      ['ok', 'flaky', 'hopeless', 'fatal', 'later', 'asked'].map((mode, n) => ({ n, mode })),
    )
    await send(queue, [{ n: 'not a number' }])
    await until('four are archived', async () => (await archived(queue)) === 4)
    await until('three are dead', async () => (await look.deadLetters(queue)).length === 3)
    const dead = (await look.deadLetters(queue)).map(({ message }) => message.dead_letter)
    const byReason = Object.fromEntries(dead.map((letter) => [letter.reason, letter]))
    expect(byReason.attempts_exhausted).toMatchObject({
      attempts: 3,
      error: expect.stringContaining('never'),
    })
    expect(byReason.unrecoverable).toMatchObject({
      attempts: 1,
      error: expect.stringContaining('no such customer'),
    })
    expect(byReason.invalid_payload).toMatchObject({ error: expect.stringContaining('n: ') })
    const ended = worker.events.filter((event) => event.name === 'finished')
    const isInvalid = ({ outcome }: (typeof ended)[number]) =>
      outcome.kind === 'dead' && outcome.reason === 'invalid_payload'
    expect(ended.filter(({ ranMs }) => ranMs === 0)).toEqual(ended.filter(isInvalid))
    expect(ended.filter(isInvalid)).toHaveLength(1)
    expect(runs.get('flaky')).toEqual([1, 2, 3])
    expect(runs.get('hopeless')).toEqual([1, 2, 3])
    expect(runs.get('later')).toEqual([1, 1])
    expect(runs.get('asked')).toEqual([1, 2])
    expect(await look.messages(queue)).toHaveLength(0)
  })

  test('a slow processor gets no more messages than it can start', async () => {
    const queue = await newQueue()
    const gate = Promise.withResolvers<void>()
    let started = 0
    const slow = defineProcessor({
      queue,
      payload,
      concurrency: 3,
      async process() {
        started += 1
        await gate.promise
      },
    })
    const worker = await start([slow])
    await send(
      queue,
      Array.from({ length: 20 }, (_, n) => ({ n })),
    )
    await until('three run', () => started === 3)
    expect((await look.messages(queue)).filter((message) => message.read_ct > 0)).toHaveLength(3)
    expect(worker.health()).toMatchObject({ ready: true, inFlight: 3 })
    gate.resolve()
    await until('all are archived', async () => (await archived(queue)) === 20)
  })

  test('leases of running messages are kept, whatever the time they take', async () => {
    const queue = await newQueue()
    const gate = Promise.withResolvers<void>()
    let runs = 0
    const worker = await start([
      defineProcessor({
        queue,
        payload,
        visibilityTimeoutSeconds: 1,
        async process() {
          runs += 1
          await gate.promise
        },
      }),
    ])
    await send(queue, [{ n: 1 }])
    await until('it runs', () => runs === 1)
    const [before] = await look.messages(queue)
    await until('its lease was extended twice', async () => {
      const [now] = await look.messages(queue)
      return (now?.vt.getTime() ?? 0) - (before?.vt.getTime() ?? 0) > 1500
    })
    gate.resolve()
    await until('it is archived', async () => (await archived(queue)) === 1)
    expect(runs).toBe(1)
    expect(worker.events.filter((event) => event.name === 'leaseLost')).toHaveLength(0)
  })

  test('a processor that ignores its abort loses its message and keeps its slot', async () => {
    const queue = await newQueue()
    const gate = Promise.withResolvers<void>()
    const worker = await start([
      defineProcessor({
        queue,
        payload,
        timeoutMs: 100,
        maxAttempts: 1,
        concurrency: 1,
        process: () => gate.promise,
      }),
    ])
    await send(queue, [{ n: 1 }])
    await until('it is dead', async () => (await look.deadLetters(queue)).length === 1)
    expect((await look.deadLetters(queue))[0]?.message.dead_letter.error).toContain('time limit of 100 ms')
    expect(worker.health()).toMatchObject({
      ready: false,
      zombies: 1,
      reason: expect.stringContaining('slots'),
    })
    gate.resolve()
    await until('it is ready again', () => worker.health().ready)
  })

  test('a stop lets what runs finish and gives the rest back uncharged', async () => {
    const queue = await newQueue()
    const gate = Promise.withResolvers<void>()
    let runs = 0
    const worker = await start([
      defineProcessor({
        queue,
        payload,
        concurrency: 2,
        async process() {
          runs += 1
          await gate.promise
        },
      }),
    ])
    await send(queue, [{ n: 1 }, { n: 2 }])
    await until('two run', () => runs === 2)
    const stopped = worker.stop('the test asks')
    gate.resolve()
    await stopped
    expect(await archived(queue)).toBe(2)
    expect(worker.health().state).toBe('stopped')
  })

  test('at the drain limit running messages are aborted and given back, without a failure', async () => {
    const queue = await newQueue()
    let runs = 0
    const worker = await start(
      [
        defineProcessor({
          queue,
          payload,
          async process({ mode }, { signal }) {
            runs += 1
            const aborted = Promise.withResolvers<never>()
            if (mode === 'obeys') signal.addEventListener('abort', () => aborted.reject(signal.reason))
            await aborted.promise
          },
        }),
      ],
      { settings: { drainTimeoutMs: 100 } },
    )
    await send(queue, [
      { n: 1, mode: 'obeys' },
      { n: 2, mode: 'ignores' },
    ])
    await until('both run', () => runs === 2)
    await worker.stop('the test asks')
    const rows = await look.messages(queue)
    expect(rows).toHaveLength(2)
    for (const row of rows) expect(row.vt.getTime()).toBeLessThanOrEqual(Date.now())
    expect((await look.outcomes(queue)).map(({ outcome }) => outcome)).toEqual(['release', 'release'])
  })

  test('a step given to once runs once over retries, and its sends commit with the success', async () => {
    const queue = await newQueue()
    const other = await newQueue()
    let effects = 0
    await start([
      defineProcessor({
        queue,
        payload,
        async process(_, context) {
          const charge = await context.once('charge', () => {
            effects += 1
            return { charge: `ch_${effects}` }
          })
          context.send(other, charge)
          if (context.attempt === 1) throw new Error('after the effect')
        },
      }),
    ])
    await send(queue, [{ n: 1 }])
    await until('it is archived', async () => (await archived(queue)) === 1)
    expect(effects).toBe(1)
    expect((await look.messages(other)).map(({ message }) => message)).toEqual([{ charge: 'ch_1' }])
  })

  test('a send to a queue that does not exist is a failure of the message that tells why', async () => {
    const queue = await newQueue()
    await start([
      defineProcessor({
        queue,
        payload,
        maxAttempts: 1,
        process: (_, context) => context.send('no_such_queue_1', {}),
      }),
    ])
    await send(queue, [{ n: 1 }])
    await until('it is dead', async () => (await look.deadLetters(queue)).length === 1)
    expect((await look.deadLetters(queue))[0]?.message.dead_letter.error).toContain('no_such_queue_1')
  })

  test('drained resolves when everything due is done', async () => {
    const queue = await newQueue()
    await send(
      queue,
      Array.from({ length: 50 }, (_, n) => ({ n })),
    )
    const worker = await start([defineProcessor({ queue, payload, onSuccess: 'delete', process: () => {} })])
    await worker.drained(0)
    expect(await look.messages(queue)).toHaveLength(0)
    expect(await archived(queue)).toBe(0)
  })
})
