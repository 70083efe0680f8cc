import { expect, test } from 'vitest'
import { createOutage } from '../../src/engine/outage.ts'
import { watched } from '../../src/engine/watched.ts'
import { ConnectionFailure } from '../../src/errors.ts'
import type { Queue } from '../../src/queue/contract.ts'

/** An account of a database whose clock and whose answers the test gives. */
function account() {
  const told: string[] = []
  let nowMs = 0
  const outage = createOutage(
    () => nowMs,
    (name, event) =>
      told.push('failure' in event && event.failure !== null ? `${name}: ${event.failure.message}` : name),
    10_000,
  )
  const at = (ms: number) => {
    nowMs = ms
    outage.look(Number.POSITIVE_INFINITY)
    return outage.downMs()
  }
  return { outage, told, at }
}

test('a call that hangs counts from when it was sent, once it takes unusually long, and is told of in time', () => {
  const { outage, told, at } = account()
  const ended = outage.sent('read', true)
  expect([at(1000), told]).toEqual([0, []])
  expect([at(9000), told]).toEqual([9000, []])
  expect(at(9900)).toBe(9900)
  expect(told).toEqual(['connectionLost: no answer to a call (read) for 10 s'])
  ended(true)
  expect(at(10_000)).toBe(0)
  expect(told.slice(1)).toEqual(['connectionBack'])
})

test('one that failed in the end goes on counting until the next of its kind is answered, in one outage', () => {
  const { outage, told, at } = account()
  const calls = outage.calls()
  const ended = outage.sent('settle', true)
  at(30_000)
  ended(false)
  for (const said of ['its limit', 'its limit again'])
    calls.failed(new ConnectionFailure('timeout', said, 'what to do about it', true))
  outage.sent('read', true)(true)
  expect(at(31_000)).toBe(31_000)
  outage.sent('settle', true)(true)
  calls.succeeded()
  expect(at(31_100)).toBe(0)
  // The failure itself says what else may be done about it; the same again would not be told.
  expect(told).toEqual([
    'connectionLost: no answer to a call (settle) for 30 s',
    'connectionLost: its limit',
    'connectionBack',
  ])
})

test('a call that is not essential hangs only as long as nothing else is answered', () => {
  const { outage, told, at } = account()
  const ended = outage.sent('beat', false)
  expect(at(9000)).toBe(9000)
  outage.sent('read', true)(true)
  expect(at(10_500)).toBe(0)
  expect(at(17_500)).toBe(8500)
  ended(false)
  expect(at(17_900)).toBe(8900)
  outage.sent('read', true)(true)
  expect(at(60_000)).toBe(0)
  expect(told).toEqual([])
})

test('a quick failure is no answer unless somebody refused', async () => {
  const { outage, at } = account()
  let failure = new ConnectionFailure('refused', 'nobody there', '', true)
  const queue = watched({ beat: async () => Promise.reject(failure) } as unknown as Queue, {
    outage,
    emit: () => {},
  })
  const beat = () =>
    queue.beat({ workerId: 'w', instance: 'i', version: '1', host: 'h', pid: 1, queues: [], inFlight: 0 })
  await expect(beat()).rejects.toBe(failure)
  expect(at(5000)).toBe(5000)
  failure = new ConnectionFailure('forbidden', 'not for you', '', false)
  await expect(beat()).rejects.toBe(failure)
  expect(at(20_000)).toBe(0)
})
