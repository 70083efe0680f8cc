/** What workers do with rate limits and breakers: they wait for exactly as long as they have to, and give back what they cannot begin. */
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { defineProcessor, OutageError } from '../../src/library.ts'
import { engineBench, payload } from '../support/engine-bench.ts'
import { type TestWorker, until } from '../support/worker.ts'

const numbered = (count: number) => Array.from({ length: count }, (_, n) => ({ n }))
const statesOf = (worker: TestWorker) =>
  worker.events.flatMap((event) => (event.name === 'queueState' ? [event.status] : []))

describe.each(['rpc', 'postgres'] as const)('the engine over %s', (kind) => {
  const bench = engineBench(kind)

  test('two workers together keep a rate limit, tell it once, and are ready all the while', async () => {
    const queue = await bench.newQueue()
    const rateLimit = { maxMessages: 5, periodSeconds: 1 }
    const runs: number[] = []
    const processor = defineProcessor({
      queue,
      payload,
      concurrency: 8,
      rateLimit,
      process: () => void runs.push(performance.now()),
    })
    await bench.send(queue, numbered(20))
    // A poll every ten minutes: what the reads say has to bring them back.
    const settings = { pollIntervalMs: 600_000, notify: false }
    const workers = [
      await bench.start([processor], { settings }),
      await bench.start([processor], { settings }),
    ]
    await until('the limit is noticed', () => workers.some((worker) => statesOf(worker).includes('limited')))
    expect(workers.map((worker) => worker.health().ready)).toEqual([true, true])
    expect(workers.map((worker) => worker.health().queues[queue])).toContain('limited')
    await until('all are archived', async () => (await bench.archived(queue)) === 20)
    for (const worker of workers) expect(statesOf(worker).filter((one) => one !== 'limited')).toEqual([])
    const readAt = await bench.sql`
      select extract(epoch from vt)::float8 as s from ${bench.look.table('a', queue)} order by vt`
    for (const [index, { s }] of readAt.slice(5).entries()) {
      expect(s - readAt[index]?.s).toBeGreaterThanOrEqual(1)
    }
  })

  test('does not ask for what it cannot have: a queue at its limit is read when that says so, and now and then', async () => {
    const [limited, free] = [await bench.newQueue(), await bench.newQueue()]
    const counted = bench.counted()
    let done = 0
    const process = () => void done++
    const processors = [
      defineProcessor({
        queue: limited,
        payload,
        process,
        rateLimit: { maxMessages: 3, periodSeconds: 3600 },
      }),
      defineProcessor({ queue: free, payload, process }),
    ]
    await bench.send(limited, numbered(10))
    const worker = await bench.start(processors, {
      connection: counted.connection,
      settings: { pollIntervalMs: 1000, notify: false },
    })
    await until('the limit is used up', () => done === 3 && statesOf(worker).includes('limited'))
    const before = counted.reads()
    await sleep(2000)
    // The polls of the other queue, and its own once in a poll interval.
    expect(counted.reads() - before).toBeLessThan(25)
    await bench.send(free, numbered(1))
    await until('the other queue is worked on', () => done === 4)
    expect(worker.health()).toMatchObject({ ready: true, queues: { [limited]: 'limited', [free]: 'ok' } })
    // Nobody tells it; it finds out.
    await bench.typed.setRateLimit(limited, null)
    await until('all are archived', async () => (await bench.archived(limited)) === 10)
  })

  test('tells the database the limit of its settings when it starts, and leaves it alone without', async () => {
    const queue = await bench.newQueue()
    const processor = defineProcessor({ queue, payload, process: () => {} })
    const known = async () => {
      const limit = (await bench.typed.counts([queue]))[0]?.rateLimit
      return limit && { maxMessages: limit.maxMessages, periodSeconds: limit.periodSeconds }
    }
    const [hourly, daily] = [
      { maxMessages: 7, periodSeconds: 3600 },
      { maxMessages: 5, periodSeconds: 86_400 },
    ]
    const told = async (rateLimit: typeof hourly | null | undefined) => {
      const worker = await bench.start([processor], { queue: { rateLimit } })
      await worker.stop('it has started')
      return worker.events.flatMap((event) => (event.name === 'rateLimitSet' ? [event.limit] : []))
    }
    expect(await told(undefined)).toEqual([])
    expect(await known()).toBeNull()
    expect(await told(hourly)).toEqual([hourly])
    expect(await known()).toEqual(hourly)
    expect(await told(undefined)).toEqual([])
    expect(await known()).toEqual(hourly)
    const limited = await bench.start([defineProcessor({ ...processor, rateLimit: daily })])
    await limited.stop('it has started')
    expect(await known()).toEqual(daily)
    expect(await told(null)).toEqual([null])
    expect(await known()).toBeNull()
  })

  test('an outage stops all workers: what runs ends, the rest is given back, nothing is charged; then one at a time', async () => {
    const queue = await bench.newQueue()
    let isDown = false
    let calls = 0
    let failed = 0
    let atOnce = 0
    let most = 0
    const processor = defineProcessor({
      queue,
      payload,
      concurrency: 5,
      maxAttempts: 2,
      async process() {
        calls += 1
        atOnce += 1
        most = Math.max(most, atOnce)
        await sleep(20)
        atOnce -= 1
        // Once they are in full swing, so that some are read and not begun.
        if (calls === 60 && failed === 0) isDown = true
        if (!isDown) return
        failed += 1
        throw new OutageError('the other side is down')
      },
    })
    await bench.send(queue, numbered(400))
    const settings = { pollIntervalMs: 200, notify: false }
    const workers = [
      await bench.start([processor], { settings }),
      await bench.start([processor], { settings }),
    ]
    const open = async () => (await bench.typed.counts([queue]))[0]
    const idle = () => workers.every((worker) => worker.health().inFlight === 0)
    const allKnow = () => workers.every((worker) => statesOf(worker).at(-1) === 'breaker_open')
    await until('both know, and hold nothing', () => allKnow() && idle())
    // What ran at once in both when the first of them failed, and no more.
    expect(failed).toBeLessThanOrEqual(2 * 5)
    expect(await open()).toMatchObject({
      breaker: { state: 'open', trips: 1, reason: 'the other side is down' },
    })

    for (const trips of [2, 3]) {
      const before = calls
      most = 0
      await bench.look.expire(queue)
      await bench.look.pass(queue, 1000)
      await until(`it trips again (${trips})`, async () => (await open())?.breaker?.trips === trips)
      await until('both know again', () => allKnow() && idle())
      expect(calls - before).toBe(1)
      expect(most).toBe(1)
    }
    for (const worker of workers) expect(worker.health().ready).toBe(true)

    isDown = false
    await bench.look.expire(queue)
    await bench.look.pass(queue, 1000)
    await until('all are archived', async () => (await bench.archived(queue)) === 400)
    expect(await open()).toMatchObject({ breaker: null, ready: 0, hidden: 0, dead: 0 })
    const outcomes = await bench.look.outcomes(queue)
    expect(new Set(outcomes.map(({ outcome }) => outcome))).toEqual(new Set(['snooze', 'release']))
    await until('both have closed it', () => workers.every((worker) => statesOf(worker).at(-1) === 'ok'))
  })

  test('the worker that has the probe is killed: when its lease has run out another is tried', async () => {
    const queue = await bench.newQueue()
    const runs: number[] = []
    let hang: (() => void) | undefined
    const processor = (isDoomed: boolean) =>
      defineProcessor({
        queue,
        payload,
        async process({ n }) {
          runs.push(n)
          if (n === 0 && runs.length === 1) throw new OutageError('down for a moment')
          if (isDoomed) await new Promise<void>((resolve) => (hang = resolve))
        },
      })
    await bench.send(queue, numbered(5))
    const settings = { pollIntervalMs: 200, notify: false }
    // Cut off from the database in the middle of the probe: as good as killed, to everybody else.
    const cuttable = await bench.cuttable()
    const doomed = await bench.start([processor(true)], {
      connection: cuttable.connection,
      settings,
      queue: { concurrency: 1, visibilityTimeoutSeconds: 3 },
    })
    await until('it has tripped', () => statesOf(doomed).at(-1) === 'breaker_open')
    await bench.look.expire(queue)
    await bench.look.pass(queue, 1000)
    await until('it has the probe', () => hang !== undefined)
    cuttable.down()
    const other = await bench.start([processor(false)], { settings, queue: { concurrency: 3 } })
    await until('the other knows', () => statesOf(other).at(-1) === 'breaker_half_open')
    expect(await bench.archived(queue)).toBe(0)
    await until('the lease is over and all are archived', async () => (await bench.archived(queue)) === 5)
    expect(statesOf(other)).toEqual(['breaker_half_open', 'ok'])
    hang?.()
  })

  test('a drain ends when all that is left may not be read', async () => {
    const [limited, broken] = [await bench.newQueue(), await bench.newQueue()]
    const processors = [
      defineProcessor({
        queue: limited,
        payload,
        rateLimit: { maxMessages: 2, periodSeconds: 3600 },
        process: () => {},
      }),
      defineProcessor({
        queue: broken,
        payload,
        process() {
          throw new OutageError('down', { retryAfterSeconds: 3600 })
        },
      }),
    ]
    for (const queue of [limited, broken]) await bench.send(queue, numbered(6))
    const worker = await bench.start(processors, { settings: { pollIntervalMs: 600_000, notify: false } })
    await worker.drained(60_000)
    expect(worker.health().inFlight).toBe(0)
    expect([await bench.archived(limited), await bench.archived(broken)]).toEqual([2, 0])
    expect(worker.health().queues).toEqual({ [limited]: 'limited', [broken]: 'breaker_open' })
  })
})
