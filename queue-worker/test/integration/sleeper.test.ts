/** A worker that sleeps, on the real stack over both transports: how quiet it is, who wakes it, and that nothing is missed on the way. */
import { pino } from 'pino'
import { afterEach, describe, expect, inject, test } from 'vitest'
import { createSleeper, neverSleeps, type Wakeable } from '../../src/engine/sleeper.ts'
import { connectPostgres, connectSupabase, defineProcessor, type Transport } from '../../src/library.ts'
import { engineBench, payload } from '../support/engine-bench.ts'
import { startProxy } from '../support/proxy.ts'
import { type TestWorker, testWorker, until } from '../support/worker.ts'

const IDLE_MS = 600
const stack = inject('stack')

describe.each(['rpc', 'postgres'] as const)('a sleeper over %s', (kind) => {
  const bench = engineBench(kind)
  let sleepers: Wakeable[] = []
  let proxies: Awaited<ReturnType<typeof startProxy>>[] = []
  afterEach(async () => {
    await Promise.all(sleepers.map((one) => one.stop('the test is over', { hurry: true })))
    await Promise.all(proxies.map((proxy) => proxy.stop()))
    sleepers = []
    proxies = []
  })

  type Hooks = {
    readonly process?: (n: number) => Promise<void> | void
    /** Called before each call to the database. */
    readonly onCall?: (entryPoint: string, request: unknown) => void
    readonly onClose?: () => Promise<void> | void
    readonly onProcessorClose?: () => Promise<void> | void
  }

  async function startSleeper(hooks: Hooks = {}, idleMs = IDLE_MS) {
    const queue = await bench.newQueue()
    const target = new URL(kind === 'rpc' ? stack.url : stack.databaseUrl)
    const proxy = await startProxy({ targetPort: Number(target.port) })
    proxies.push(proxy)
    target.hostname = '127.0.0.1'
    target.port = String(proxy.port)
    const done: number[] = []
    const workers: TestWorker[] = []
    const open = () => {
      const inner =
        kind === 'rpc'
          ? connectSupabase({ url: target.origin, key: stack.secretKey })
          : connectPostgres({ url: target.href })
      const connection: Transport = {
        ...inner,
        call(entryPoint, request) {
          hooks.onCall?.(entryPoint, request)
          return inner.call(entryPoint, request)
        },
        async close() {
          await hooks.onClose?.()
          await inner.close()
        },
      }
      const processor = defineProcessor({
        queue,
        payload,
        async process({ n }) {
          await hooks.process?.(n)
          done.push(n)
        },
        close: async () => hooks.onProcessorClose?.(),
      })
      const worker = testWorker(kind, [processor], {
        connection,
        settings: { pollIntervalMs: 200, giveUpSeconds: 60 },
      })
      workers.push(worker)
      return worker
    }
    const logger = pino({ level: 'silent' })
    const sleeper = createSleeper({ first: open(), open: async () => open(), idleMs, logger })
    sleepers.push(sleeper)
    await sleeper.start()
    const isAsleep = () =>
      sleeper.health().state === 'sleeping' && workers.at(-1)?.health().state === 'stopped'
    return {
      ...{ sleeper, queue, proxy, done, workers, isAsleep },
      send: (n: number) => bench.send(queue, [{ n }]),
      async untilAsleep() {
        await until('it is asleep', isAsleep)
        // What fetch keeps for reuse it closes after some seconds.
        await until('no connection is open', () => proxy.open() === 0)
      },
    }
  }

  test('reads, falls asleep, has no connection and makes none, is well, and reads again when it is woken', async () => {
    const { sleeper, send, done, proxy, untilAsleep, workers } = await startSleeper()
    await send(1)
    await until('it is processed', () => done.length === 1)
    for (let n = 2; n < 5; n++) {
      await untilAsleep()
      const accepted = proxy.accepted()
      await send(n)
      const sinceMs = performance.now()
      await until('some poll intervals are over', () => performance.now() - sinceMs > 1500)
      expect([proxy.accepted(), proxy.open(), done.length]).toEqual([accepted, 0, n - 1])
      expect(sleeper.health()).toMatchObject({ ready: true, reason: null, state: 'sleeping', inFlight: 0 })
      expect(sleeper.wake('a test')).toBe(true)
      expect(sleeper.health().ready).toBe(true)
      await until('it is processed', () => done.length === n)
      await until('it is as before', () => sleeper.health().state === 'running')
    }
    expect(workers).toHaveLength(4)
  })

  test('while something runs it stays awake, however long that takes', async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    const { send, done, isAsleep, sleeper, untilAsleep } = await startSleeper({ process: () => promise })
    await send(1)
    await until('it runs', () => sleeper.health().inFlight === 1)
    const sinceMs = performance.now()
    await until('it could have fallen asleep three times', () => performance.now() - sinceMs > 3 * IDLE_MS)
    expect([isAsleep(), sleeper.health().inFlight]).toEqual([false, 1])
    resolve()
    await until('it is processed', () => done.length === 1)
    await untilAsleep()
  })

  test('a delayed message, and one in retry, wake it when they fall due', async () => {
    const { queue, done, untilAsleep, proxy } = await startSleeper()
    await bench.typed.send([{ queue, message: { n: 1 }, delaySeconds: 15 }])
    const dueAtMs = performance.now() + 15_000
    await untilAsleep()
    const accepted = proxy.accepted()
    expect(performance.now()).toBeLessThan(dueAtMs)
    await until('it is processed', () => done.length === 1)
    expect(performance.now()).toBeGreaterThan(dueAtMs - 1000)
    expect(proxy.accepted()).toBeGreaterThan(accepted)
    await untilAsleep()
  })

  test('a message that falls due before long keeps it awake', async () => {
    const { queue, done, workers, isAsleep } = await startSleeper({}, 5000)
    await bench.typed.send([{ queue, message: { n: 1 }, delaySeconds: 6 }])
    await until('it is processed', () => done.length === 1)
    expect(workers).toHaveLength(1)
    await until('it is asleep', isAsleep)
  })

  describe('a wake while it falls asleep is not lost', () => {
    const moments = ['the last beat', 'the processor closes', 'the connection closes', 'just after'] as const
    test.each(moments)('%s', async (moment) => {
      let isArmed = true
      let sent: Promise<void> | undefined
      let sleeperOf: () => Awaited<ReturnType<typeof startSleeper>>
      const strike = (now: (typeof moments)[number]) => {
        if (now !== moment || !isArmed) return
        isArmed = false
        const { sleeper, send } = sleeperOf()
        expect(sleeper.health().state).toBe('sleeping')
        sent = send(1)
        return sent.then(() => void sleeper.wake('a test'))
      }
      const started = await startSleeper({
        onCall(entryPoint, request) {
          if (entryPoint === 'beat' && JSON.stringify(request).includes('"stopping":true'))
            void strike('the last beat')
        },
        onProcessorClose: () => strike('the processor closes'),
        onClose: () => strike('the connection closes'),
      })
      sleeperOf = () => started
      if (moment === 'just after') {
        await until('it falls asleep', () => started.sleeper.health().state === 'sleeping')
        await strike('just after')
      }
      await until('the message was sent', () => sent !== undefined)
      await until('it is processed', () => started.done.length === 1)
      expect(started.workers).toHaveLength(2)
    })
  })

  test('what needs its connection wakes it first, also while it falls asleep, and it looks for what that did', async () => {
    const { sleeper, queue, done, untilAsleep, isAsleep } = await startSleeper()
    await untilAsleep()
    await sleeper.use('a test', () => bench.typed.send([{ queue, message: { n: 1 } }]))
    await until('it is processed', () => done.length === 1)
    await until('it falls asleep', () => sleeper.health().state === 'sleeping')
    await sleeper.use('a test', () => bench.typed.send([{ queue, message: { n: 2 } }]))
    await until('it is processed', () => done.length === 2)
    // And while that goes on it stays awake.
    const { promise, resolve } = Promise.withResolvers<void>()
    const using = sleeper.use('a test', () => promise)
    const sinceMs = performance.now()
    await until('it could have fallen asleep three times', () => performance.now() - sinceMs > 3 * IDLE_MS)
    expect(sleeper.health().state).toBe('running')
    resolve()
    await using
    await until('it is asleep', isAsleep)
  })

  test('while the database is away it does not fall asleep; woken then, it waits for it', async () => {
    const { sleeper, proxy, send, done, untilAsleep } = await startSleeper()
    await untilAsleep()
    proxy.set('hang-up')
    await send(1)
    sleeper.wake('a test')
    await until('it is told of the outage', () => sleeper.health().lastError !== null)
    const sinceMs = performance.now()
    await until('it could have fallen asleep twice', () => performance.now() - sinceMs > 2 * IDLE_MS)
    expect(sleeper.health().state).toBe('starting')
    proxy.set('pass')
    await until('it is processed', () => done.length === 1)
    proxy.set('hang-up')
    proxy.cut()
    await until('it notices', () => sleeper.health().downMs > 2 * IDLE_MS)
    expect(sleeper.health().state).toBe('running')
    proxy.set('pass')
    await untilAsleep()
  })

  test('it stops at once, asleep or falling asleep or waking up, and then does nothing for anybody', async () => {
    const asleep = await startSleeper()
    await asleep.untilAsleep()
    await asleep.sleeper.stop('a test')
    await asleep.sleeper.done
    const falling = await startSleeper()
    await until('it falls asleep', () => falling.sleeper.health().state === 'sleeping')
    await falling.sleeper.stop('a test')
    await falling.sleeper.done
    const waking = await startSleeper()
    await waking.untilAsleep()
    waking.sleeper.wake('a test')
    await waking.sleeper.stop('a test')
    await waking.sleeper.done
    for (const { sleeper, proxy } of [asleep, falling, waking]) {
      expect(sleeper.health().ready).toBe(false)
      await until('no connection is open', () => proxy.open() === 0)
      const accepted = proxy.accepted()
      sleeper.wake('a test')
      const using = sleeper.use('a test', () => Promise.resolve())
      await expect(using).rejects.toMatchObject({ kind: 'disconnected', message: 'the worker is stopping' })
      expect(proxy.accepted()).toBe(accepted)
    }
  })

  test('a worker that never sleeps reads at once when it is woken, and once a second however often that is', async () => {
    const queue = await bench.newQueue()
    const { connection, reads } = bench.counted()
    const done: number[] = []
    const processor = defineProcessor({ queue, payload, process: ({ n }) => void done.push(n) })
    const settings = { pollIntervalMs: 3_600_000, notify: false }
    const sleeper = neverSleeps(testWorker(kind, [processor], { connection, settings }))
    sleepers.push(sleeper)
    await sleeper.start()
    await until('its polls are far apart', async () => {
      const before = reads()
      const sinceMs = performance.now()
      await until('a moment is over', () => performance.now() - sinceMs > 3000)
      return reads() === before
    })
    await bench.send(queue, [{ n: 1 }])
    expect(sleeper.wake('a test')).toBe(false)
    await until('it is processed', () => done.length === 1)
    const [before, sinceMs] = [reads(), performance.now()]
    await until('it was asked for two seconds', () => {
      for (let n = 0; n < 100; n++) sleeper.wake('a test')
      return performance.now() - sinceMs > 2000
    })
    // What it polls by itself after activity is among them.
    expect(reads() - before).toBeLessThan(20)
  })
})
