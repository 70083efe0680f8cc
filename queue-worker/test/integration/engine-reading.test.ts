/** When the engine reads, and when it does not. */
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { defineProcessor } from '../../src/library.ts'
import { engineBench, payload } from '../support/engine-bench.ts'
import { testWorker, until } from '../support/worker.ts'

const numbered = (count: number, more: object = {}) =>
  Array.from({ length: count }, (_, n) => ({ n, ...more }))

describe.each(['rpc', 'postgres'] as const)('the engine over %s', (kind) => {
  const bench = engineBench(kind)

  /** At most this many reads in a second: a busy machine can only make it fewer. */
  async function expectCalm(reads: () => number, most: number): Promise<void> {
    const before = reads()
    await sleep(1000)
    expect(reads() - before).toBeLessThanOrEqual(most)
  }

  test('fills a freed slot at once, though another of its queues is empty', async () => {
    const [slow, empty] = [await bench.newQueue(), await bench.newQueue()]
    const done: number[] = []
    await bench.send(slow, numbered(30))
    await bench.start(
      [
        defineProcessor({
          queue: slow,
          payload,
          concurrency: 2,
          async process({ n }) {
            await sleep(30)
            done.push(n)
          },
        }),
        defineProcessor({ queue: empty, payload, process: () => {} }),
      ],
      // A poll every ten minutes: only what it knows can make it read.
      { settings: { pollIntervalMs: 600_000, notify: false } },
    )
    await until('all are done', () => done.length === 30)
  })

  test('gives each queue its turn when the byte budget is too small for all', async () => {
    const queues = [await bench.newQueue(), await bench.newQueue()]
    const order: string[] = []
    const filler = 'x'.repeat(10_000)
    for (const queue of queues) await bench.send(queue, numbered(40, { filler }))
    await bench.start(
      queues.map((queue) =>
        defineProcessor({ queue, payload, concurrency: 100, process: () => void order.push(queue) }),
      ),
      { settings: { readBytes: 45_000 } },
    )
    await until('all are done', () => order.length === 80)
    for (const queue of queues) expect(order.slice(0, 24)).toContain(queue)
  })

  test('does not read while its slots are full, nor in a loop while its queue is paused or missing', async () => {
    const queue = await bench.newQueue()
    const counted = bench.counted()
    const gate = Promise.withResolvers<void>()
    let runs = 0
    const processor = defineProcessor({
      queue,
      payload,
      concurrency: 2,
      async process() {
        runs += 1
        await gate.promise
      },
    })
    const worker = await bench.start([processor], {
      connection: counted.connection,
      settings: { pollIntervalMs: 500, notify: false },
    })
    const states = () => worker.events.flatMap((event) => (event.name === 'queueState' ? [event.status] : []))
    await bench.send(queue, numbered(10))
    await until('two run', () => runs === 2)
    await expectCalm(counted.reads, 0)
    await bench.typed.setPaused(queue, true)
    gate.resolve()
    await until('it is found paused', () => states().at(-1) === 'paused')
    await expectCalm(counted.reads, 12)
    const ran = runs
    expect(ran).toBeLessThan(10)
    await bench.typed.setPaused(queue, false)
    await until('all are archived', async () => (await bench.archived(queue)) === 10)
    await bench.look.drop(queue)
    await until('it is found missing', () => states().at(-1) === 'missing')
    await expectCalm(counted.reads, 12)
    await bench.typed.ensureQueue(queue, { notify: false })
    await bench.send(queue, numbered(3))
    await until('three more are archived', async () => (await bench.archived(queue)) === 3)
    expect(states()).toEqual(['paused', 'ok', 'missing', 'ok'])
  })

  test('waits for delayed messages without asking for them', async () => {
    const queue = await bench.newQueue()
    const counted = bench.counted()
    let done = 0
    const processor = defineProcessor({ queue, payload, process: () => void done++ })
    await bench.typed.send([{ queue, message: { n: 1 }, delaySeconds: 2 }])
    await bench.start([processor], {
      connection: counted.connection,
      settings: { pollIntervalMs: 600_000, notify: false },
    })
    await until('it is done', () => done === 1)
    expect(counted.reads()).toBeLessThan(20)
  })

  test('drains without a loop of reads while a zombie holds the only slot', async () => {
    const queue = await bench.newQueue()
    const counted = bench.counted()
    const gate = Promise.withResolvers<void>()
    const processor = defineProcessor({
      queue,
      payload,
      concurrency: 1,
      timeoutMs: 50,
      maxAttempts: 1,
      process: ({ n }) => (n === 0 ? gate.promise : undefined),
    })
    await bench.send(queue, numbered(2))
    const worker = await bench.start([processor], { connection: counted.connection })
    let isDrained = false
    const drained = worker.drained(0).then(() => {
      isDrained = true
    })
    await until('there is a zombie', () => worker.health().zombies === 1)
    await expectCalm(counted.reads, 12)
    expect(isDrained).toBe(false)
    gate.resolve()
    await drained
    expect(await bench.archived(queue)).toBe(1)
  })

  test('stops when the registry asks it to', { timeout: 90_000 }, async () => {
    const queue = await bench.newQueue()
    const processor = defineProcessor({ queue, payload, process: () => {} })
    const worker = await bench.start([processor], { settings: { workerId: `asked-${queue}` } })
    await until('it is registered', async () => {
      const asked = await bench.sql`
        update queue_worker.workers set drain = true where worker_id = ${`asked-${queue}`} returning 1`
      return asked.length === 1
    })
    await until('it has stopped', () => worker.health().state === 'stopped', 60_000)
    await worker.done
  })

  test('can be stopped before, while and after it starts, and twice', async () => {
    const queue = await bench.newQueue()
    const processor = defineProcessor({ queue, payload, process: () => {} })
    const worker = await bench.start([processor])
    await Promise.all([worker.stop('once'), worker.stop('twice')])
    for (const delayMs of [null, 0, 5, 20, 50]) {
      let closed = 0
      const { connection } = bench.counted()
      const closing = { ...connection, close: () => connection.close().then(() => void closed++) }
      const early = testWorker(kind, [processor], { connection: closing })
      if (delayMs === null) await early.stop('before it starts')
      const starting = early.start()
      if (delayMs !== null) await sleep(delayMs)
      await early.stop('while it starts')
      await starting
      await early.done
      expect(early.health().state).toBe('stopped')
      expect(closed).toBe(1)
    }
  })
})

describe('the engine that listens', () => {
  const bench = engineBench('postgres')

  test('is woken by an insertion, and again after its subscription was lost', async () => {
    const queue = await bench.newQueue()
    let done = 0
    const processor = defineProcessor({ queue, payload, process: () => void done++ })
    const listeners = async () =>
      (await bench.sql`select pid from pg_stat_activity where query ilike 'listen%'`).map((row) =>
        Number(row.pid),
      )
    const others = await listeners()
    // A poll every ten minutes (forty while it listens): only notifications can wake it.
    const worker = await bench.start([processor], { settings: { pollIntervalMs: 600_000 } })
    expect(worker.health().wake).toBe('notify')
    await until('its first reads are over', () => worker.health().inFlight === 0)
    await bench.send(queue, [{ n: 1 }])
    await until('it is done', () => done === 1)
    // Its own subscription, as far as one can tell them apart: other tests have theirs.
    const own = (await listeners()).filter((pid) => !others.includes(pid))
    const killed = await bench.sql`select pg_terminate_backend(x) from unnest(${own}::int[]) x`
    expect(killed.length).toBeGreaterThan(0)
    await bench.send(queue, [{ n: 2 }])
    await until('the second is done', () => done === 2)
    await until('it listens again', () => worker.health().wake === 'notify')
    await bench.send(queue, [{ n: 3 }])
    await until('the third is done', () => done === 3)
  })
})
