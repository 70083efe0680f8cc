import { expect, test, vi } from 'vitest'
import type { Events } from '../../src/engine/events.ts'
import { ConnectionFailure, SetupError } from '../../src/errors.ts'
import { type Prune, startPruning } from '../../src/scheduler/pruning.ts'

const HOUR = 3_600_000

/** Prunes under fake timers: each round ends as the next of `results` says, and then as the last one. */
function pruning(results: readonly (Record<string, number> | Error)[]) {
  vi.useFakeTimers()
  const told: (keyof Events)[] = []
  const broken: unknown[] = []
  const signals: AbortSignal[] = []
  const prune: Prune = async (signal) => {
    signals.push(signal)
    const result = results[signals.length - 1] ?? results.at(-1) ?? {}
    if (result instanceof Error) throw result
    return result
  }
  const started = startPruning({
    prune,
    emit: (name) => void told.push(name),
    random: () => 0.5,
    onBroken: (error) => void broken.push(error),
  })
  return { told, broken, signals, started }
}

const failure = (transient: boolean) => new ConnectionFailure('forbidden', 'it may not', 'let it', transient)

test('prunes within minutes, then every hour, and tells when something went', async () => {
  const { told, signals, started } = pruning([{ outcomes: 0 }, { outcomes: 3 }])
  await vi.advanceTimersByTimeAsync(0.1 * HOUR)
  expect(signals).toHaveLength(1)
  expect(told).toEqual([])
  await vi.advanceTimersByTimeAsync(HOUR)
  expect(signals).toHaveLength(2)
  expect(told).toEqual(['pruned'])
  await started.stop()
  await vi.advanceTimersByTimeAsync(3 * HOUR)
  expect(signals).toHaveLength(2)
  vi.useRealTimers()
})

test('tells once what waiting does not mend, and nothing of an outage; it goes on', async () => {
  const results = [failure(true), failure(false), new SetupError('a setting', 'mend it'), {}, failure(false)]
  const { told, signals, started, broken } = pruning(results)
  await vi.advanceTimersByTimeAsync(0.1 * HOUR)
  expect(told).toEqual([])
  await vi.advanceTimersByTimeAsync(2 * HOUR)
  expect(told).toEqual(['pruneFailed'])
  await vi.advanceTimersByTimeAsync(2 * HOUR)
  expect(signals).toHaveLength(5)
  expect(told).toEqual(['pruneFailed', 'pruneFailed'])
  expect(broken).toEqual([])
  await started.stop()
  vi.useRealTimers()
})

test('tells of bites that take too long, as they never end by themselves', async () => {
  const { told, started } = pruning([new ConnectionFailure('timeout', 'too long', 'wait', true)])
  await vi.advanceTimersByTimeAsync(0.1 * HOUR)
  expect(told).toEqual(['pruneFailed'])
  await started.stop()
  vi.useRealTimers()
})

test('a mistake of ours ends it', async () => {
  const mistake = new TypeError('ours')
  const { broken } = pruning([mistake])
  await vi.advanceTimersByTimeAsync(0.1 * HOUR)
  expect(broken).toEqual([mistake])
  vi.useRealTimers()
})

test('a stop tells the round that is under way to end, and waits for it', async () => {
  vi.useFakeTimers()
  const ended = Promise.withResolvers<Record<string, number>>()
  let told: AbortSignal | undefined
  const prune: Prune = (signal) => {
    told = signal
    return ended.promise
  }
  const started = startPruning({ prune, emit: () => {}, random: () => 0, onBroken: () => {} })
  await vi.advanceTimersByTimeAsync(0)
  let isOver = false
  const stopping = started.stop().then(() => {
    isOver = true
  })
  await vi.advanceTimersByTimeAsync(0)
  expect([told?.aborted, isOver]).toEqual([true, false])
  ended.resolve({})
  await stopping
  vi.useRealTimers()
})
