/** The engine's background work, with a database made by hand. */
import { describe, expect, test } from 'vitest'
import { createEmit } from '../../src/engine/events.ts'
import { startHeartbeat } from '../../src/engine/heartbeat.ts'
import { createLeases } from '../../src/engine/leases.ts'
import { createNotifications } from '../../src/engine/notifications.ts'
import { createOutage } from '../../src/engine/outage.ts'
import { startRegistry } from '../../src/engine/registry.ts'
import { ConnectionFailure } from '../../src/errors.ts'
import type { WorkerBeat } from '../../src/queue/contract.ts'
import type { Message } from '../../src/queue/message.ts'

const failure = (transient: boolean) => new ConnectionFailure('forbidden', 'no', 'none', transient)
const broken = (error: unknown) => {
  throw error
}

describe('the heartbeat', () => {
  test('extends what is running out, leaves what is lost, and loses what the database says', async () => {
    const lost: string[] = []
    const asked: string[][] = []
    const leases = createLeases(({ message }) => lost.push(message.msgId))
    const message = (msgId: string) => ({ msgId, queue: 'q' }) as Message
    const startedMs = performance.now()
    const [kept, taken, gone] = ['kept', 'taken', 'gone'].map((id) =>
      leases.hold(message(id), 10, startedMs - 9000),
    )
    leases.hold(message('fresh'), 10, startedMs + 5000)
    if (!kept || !taken || !gone) throw new Error('no leases')
    leases.lose(gone)
    const heartbeat = startHeartbeat({
      leases,
      intervalMs: 3000,
      now: () => performance.now(),
      onBroken: broken,
      pulse: { turn() {} },
      outage: createOutage(
        () => 0,
        () => {},
      ),
      queue: {
        async extend(extensions) {
          asked.push(extensions.map(({ receipt }) => receipt.msgId))
          return extensions.map(({ receipt }) => receipt.msgId === 'kept')
        },
      },
    })
    heartbeat.soon()
    await expect.poll(() => lost).toEqual(['gone', 'taken'])
    expect(asked).toEqual([['kept', 'taken']])
    expect(kept.deadlineMs).toBeGreaterThanOrEqual(startedMs + 10_000)
    expect(taken.cancellation.signal.aborted).toBe(true)
    await heartbeat.stop()
  })
})

describe('a heartbeat that hangs', () => {
  test('does not use up the leases: the next is sent beside it', async () => {
    const leases = createLeases(() => {})
    const lease = leases.hold({ msgId: '1', queue: 'q' } as Message, 10, performance.now() - 9000)
    const answers: PromiseWithResolvers<boolean[]>[] = []
    const heartbeat = startHeartbeat({
      leases,
      intervalMs: 20,
      now: () => performance.now(),
      onBroken: broken,
      pulse: { turn() {} },
      outage: createOutage(
        () => 0,
        () => {},
      ),
      queue: {
        extend() {
          const answer = Promise.withResolvers<boolean[]>()
          answers.push(answer)
          return answer.promise
        },
      },
    })
    await expect.poll(() => answers.length).toBeGreaterThan(2)
    const before = lease.deadlineMs
    answers[1]?.resolve([true])
    await expect.poll(() => lease.deadlineMs).toBeGreaterThan(before)
    await heartbeat.stop()
  })
})

describe('the registry', () => {
  test('tells once that it is not allowed to, and says goodbye all the same', async () => {
    const told: string[] = []
    let beats = 0
    const registry = startRegistry({
      queue: {
        beat() {
          beats += 1
          return Promise.reject(failure(false))
        },
      },
      emit: (name) => void told.push(name),
      describe: () => ({}) as WorkerBeat,
      onDrain: () => told.push('drain'),
      onBroken: broken,
    })
    await expect.poll(() => told).toEqual(['registryFailed'])
    await registry.stop()
    expect(beats).toBe(2)
    expect(told).toEqual(['registryFailed'])
  })

  test('hears that it should drain, once', async () => {
    const told: string[] = []
    const registry = startRegistry({
      queue: { beat: async () => ({ drain: true }) },
      emit: (name) => void told.push(name),
      describe: () => ({}) as WorkerBeat,
      onDrain: () => told.push('drain'),
      onBroken: broken,
    })
    await expect.poll(() => told).toEqual(['drain'])
    await registry.stop()
    expect(told).toEqual(['drain'])
  })
})

describe('notifications', () => {
  function reader() {
    const seen: (string | boolean)[] = []
    return {
      seen,
      inserted: (queue: string) => seen.push(queue),
      setListening: (on: boolean) => seen.push(on),
    }
  }

  test('tell of insertions, of being lost and of being back', async () => {
    const told = reader()
    let hear: (queue: string) => void = broken
    let lose: () => void = () => {}
    let stopped = 0
    const listen = async (onQueue: (queue: string) => void, onLost?: () => void) => {
      hear = onQueue
      lose = onLost ?? lose
      return async () => {
        stopped += 1
      }
    }
    const notifications = createNotifications({ listen }, told)
    await notifications.start()
    hear('a')
    expect(notifications.isOn).toBe(true)
    lose()
    expect(notifications.isOn).toBe(false)
    hear('*')
    expect(notifications.isOn).toBe(true)
    expect(told.seen).toEqual([true, 'a', false, true, '*'])
    await notifications.stop()
    expect(stopped).toBe(1)
  })

  test('that come only after the stop are given up again', async () => {
    const told = reader()
    const answer = Promise.withResolvers<() => Promise<void>>()
    let stopped = 0
    const notifications = createNotifications({ listen: () => answer.promise }, told)
    const starting = notifications.start()
    await notifications.stop()
    answer.resolve(async () => {
      stopped += 1
    })
    await starting
    expect(stopped).toBe(1)
    expect(told.seen).toEqual([])
  })

  test.each([
    ['a pooler that swallows them', async () => null],
    ['a connection that fails', () => Promise.reject(failure(true))],
    ['a transport without them', undefined],
  ])('are off with %s', async (_, listen) => {
    const told = reader()
    const notifications = createNotifications(listen ? { listen } : {}, told)
    await notifications.start()
    expect(notifications.isOn).toBe(false)
    await notifications.stop()
    expect(told.seen).toEqual([])
  })
})

test('an error in a listener is the listener’s problem: the others still hear', () => {
  const heard: string[] = []
  const emit = createEmit([
    {
      stopped() {
        throw new Error('the listener is broken')
      },
    },
    { stopped: ({ reason }) => heard.push(reason) },
  ])
  expect(() => emit('stopped', { reason: 'why' })).not.toThrow()
  expect(heard).toEqual(['why'])
})
