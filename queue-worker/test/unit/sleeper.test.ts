/** When a sleeper falls asleep and what wakes it, with workers that do nothing; test/integration/sleeper.test.ts has real ones. */
import { expect, test } from 'vitest'
import type { Health } from '../../src/engine/health.ts'
import { createQuietWatch, type Quiet } from '../../src/engine/quiet.ts'
import { createSleeper } from '../../src/engine/sleeper.ts'
import type { Worker } from '../../src/engine/worker.ts'
import { until } from '../support/worker.ts'

const IDLE_MS = 100
const logger = { info: () => {}, warn: () => {} }

/** Has had nothing to do for an hour, and looks as often as it is asked to. */
function idleWorker(
  more: { readonly quiet?: () => Partial<Quiet> | null; readonly onStop?: () => Promise<void> } = {},
) {
  const done = Promise.withResolvers<void>()
  done.promise.catch(() => {})
  let state: Health['state'] = 'starting'
  let readAtMs = 0
  const worker: Worker = {
    async start() {
      state = 'running'
    },
    async stop() {
      state = 'stopped'
      await more.onStop?.()
      done.resolve()
    },
    done: done.promise,
    drained: async () => {},
    lookNow() {
      readAtMs = performance.now()
    },
    quiet() {
      const seen = more.quiet === undefined ? {} : more.quiet()
      return seen && { sinceMs: performance.now() - 3_600_000, readAtMs, nextDueInMs: null, ...seen }
    },
    health: () => ({
      ...{
        ready: state === 'running',
        reason: null,
        state,
        transport: 'rpc',
        wake: 'poll',
        inFlight: 0,
        zombies: 0,
      },
      ...{ unsettled: 0, queues: {}, downMs: 0, parts: [], stuck: null, lastError: null },
    }),
  }
  return { ...worker, fail: done.reject, end: done.resolve }
}

type Idle = ReturnType<typeof idleWorker>

function sleeperOf(workers: readonly Idle[]) {
  const [first = idleWorker(), ...others] = workers
  const opened: Idle[] = [first]
  const open = async () => {
    const next = others.shift()
    if (next === undefined) throw new Error('it cannot be opened')
    opened.push(next)
    return next
  }
  return { sleeper: createSleeper({ first, open, idleMs: IDLE_MS, logger }), opened }
}

test('what a read brings while it falls asleep is not left lying: it wakes up at once', async () => {
  let isStopped = false
  const first = idleWorker({
    quiet: () => (isStopped ? null : {}),
    async onStop() {
      isStopped = true
    },
  })
  const { sleeper, opened } = sleeperOf([first, idleWorker({ quiet: () => null })])
  await sleeper.start()
  await until('the next one is there', () => opened.length === 2)
  expect(sleeper.health().state).toBe('running')
  await sleeper.stop('the test is over')
})

test('a message that it hears of while it falls asleep wakes it when it falls due', async () => {
  let nextDueInMs: number | null = null
  const first = idleWorker({
    quiet: () => ({ nextDueInMs }),
    async onStop() {
      nextDueInMs = 50
    },
  })
  const { sleeper, opened } = sleeperOf([first, idleWorker({ quiet: () => null })])
  await sleeper.start()
  await until('the next one is there', () => opened.length === 2)
  await sleeper.stop('the test is over')
})

test('it does not fall asleep on an old read, nor with a message that falls due before long', async () => {
  const stale = idleWorker({ quiet: () => ({ readAtMs: performance.now() - 2500 }) })
  const due = idleWorker({ quiet: () => ({ nextDueInMs: IDLE_MS / 2 }) })
  for (const worker of [stale, due]) {
    const { sleeper } = sleeperOf([worker])
    await sleeper.start()
    const sinceMs = performance.now()
    await until('it could have fallen asleep', () => performance.now() - sinceMs > 5 * IDLE_MS)
    expect(sleeper.health().state).toBe('running')
    await sleeper.stop('the test is over')
  }
})

test('it ends with its worker, and as that one ended', async () => {
  for (const error of [null, new Error('the database is gone for good')]) {
    const worker = idleWorker({ quiet: () => null })
    const { sleeper } = sleeperOf([worker])
    await sleeper.start()
    if (error === null) worker.end()
    else worker.fail(error)
    if (error === null) await sleeper.done
    else await expect(sleeper.done).rejects.toBe(error)
  }
})

test('what keeps it from waking up ends it, with the reason', async () => {
  const { sleeper } = sleeperOf([idleWorker()])
  await sleeper.start()
  await until('it is asleep', () => sleeper.health().state === 'sleeping')
  sleeper.wake('a test')
  await expect(sleeper.done).rejects.toThrow('it cannot be opened')
  await sleeper.stop('the test is over')
})

test('quiet begins with the first read that found nothing, ends with one that found something, and knows what is due meanwhile', () => {
  let nowMs = 1000
  const reader = { exhausted: false, nextVisibleInMs: null as number | null }
  const quiet = createQuietWatch(
    () => reader,
    () => nowMs,
  )
  expect(quiet.look()).toBeNull()
  quiet.onRead(10)
  expect(quiet.look()).toBeNull()
  reader.exhausted = true
  reader.nextVisibleInMs = 5000
  quiet.onRead(10)
  expect(quiet.look()).toEqual({ sinceMs: 990, readAtMs: 990, nextDueInMs: 5000 })
  nowMs = 2000
  quiet.onRead(20)
  // A read is under way: the reader knows nothing until it is answered.
  reader.nextVisibleInMs = null
  nowMs = 3000
  expect(quiet.look()).toEqual({ sinceMs: 990, readAtMs: 1980, nextDueInMs: 4000 })
  // Told of an insertion.
  reader.nextVisibleInMs = 0
  expect(quiet.look()).toMatchObject({ nextDueInMs: 0 })
  // A read failed.
  reader.exhausted = false
  expect(quiet.look()).toBeNull()
  quiet.onRead(10)
  reader.exhausted = true
  expect(quiet.look()).toBeNull()
})
