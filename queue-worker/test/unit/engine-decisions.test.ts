/** The engine's pure decisions, case by case and for anything that may come. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { backoffMs } from '../../src/engine/backoff.ts'
import { judge } from '../../src/engine/budgets.ts'
import { demand, lookAheadMs, soon } from '../../src/engine/capacity.ts'
import { type Condition, notReadyBecause } from '../../src/engine/health.ts'
import { errorText, failureOutcome, successOutcome } from '../../src/engine/outcomes.ts'
import { ACTIVE_INTERVAL_MS, MAX_RECONNECT_MS, pauseMs, reconnectMs } from '../../src/engine/pacing.ts'
import { TOLERATED_OUTAGE_MS } from '../../src/engine/part-health.ts'
import { consumerSettings, DEFAULT_CONSUMER, heartbeatMs } from '../../src/engine/settings.ts'
import {
  OutageError,
  RetryAfterError,
  StoppingError,
  TimeLimitError,
  UnrecoverableError,
} from '../../src/errors.ts'
import { defineProcessor, snooze } from '../../src/processors/define.ts'

const highest = () => 1
const lowest = () => 0
const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })

describe('backoff', () => {
  const settings = { baseSeconds: 2, maxSeconds: 900 }
  test.each([
    [1, 2000],
    [2, 4000],
    [3, 8000],
    [9, 512_000],
    [10, 900_000],
    [1_000_000, 900_000],
    [0, 2000],
  ])('after %i failures is at most %i ms', (failures, most) => {
    expect(backoffMs(failures, settings, highest)).toBe(most)
    expect(backoffMs(failures, settings, lowest)).toBe(0)
  })

  test('never leaves its bounds', () => {
    const positive = fc.double({ min: 0, max: 1e6, noNaN: true })
    fc.assert(
      fc.property(fc.nat(), positive, positive, chance, (failures, baseSeconds, maxSeconds, luck) => {
        const ms = backoffMs(failures, { baseSeconds, maxSeconds }, () => luck)
        expect(ms).toBeGreaterThanOrEqual(0)
        expect(ms).toBeLessThanOrEqual(Math.round(maxSeconds * 1000))
      }),
    )
  })
})

describe('budgets', () => {
  const limits = { maxAttempts: 5, maxInterruptions: 20 }
  const fresh = { delivery: 1, failures: 0, interruptions: 0, diedAlone: 0 }
  test.each([
    ['a new message', fresh, true, 'together', undefined],
    ['the last attempt', { ...fresh, failures: 4 }, true, 'together', undefined],
    ['one failed too often', { ...fresh, failures: 5 }, true, 'never', 'attempts_exhausted'],
    ['one interrupted once', { ...fresh, interruptions: 1 }, true, 'together', undefined],
    ['a suspect', { ...fresh, interruptions: 2 }, true, 'alone', undefined],
    ['a suspect that nobody can isolate', { ...fresh, interruptions: 19 }, false, 'together', undefined],
    ['one interrupted too often', { ...fresh, interruptions: 20 }, false, 'never', 'interruptions_exhausted'],
    ['an innocent in bad company', { ...fresh, interruptions: 500, diedAlone: 19 }, true, 'alone', undefined],
    [
      'one that died alone too often',
      { ...fresh, interruptions: 20, diedAlone: 20 },
      true,
      'never',
      'interruptions_exhausted',
    ],
  ] as const)('%s', (_, message, canIsolate, run, reason) => {
    const verdict = judge(message, limits, canIsolate)
    expect(verdict.run).toBe(run)
    expect('reason' in verdict ? verdict.reason : undefined).toBe(reason)
  })
})

describe('demand', () => {
  const idle = {
    concurrency: 10,
    batchSize: 100,
    running: 0,
    buffered: 0,
    meanRunMs: null,
    visibilityTimeoutSeconds: 30,
  }
  test.each([
    ['all slots free, nothing known', idle, 10],
    ['some slots free', { ...idle, running: 7 }, 3],
    ['all slots taken by slow ones', { ...idle, running: 10, meanRunMs: 60_000 }, 0],
    ['fast ones: as much as one read gives', { ...idle, running: 10, meanRunMs: 1 }, 100],
    ['zombies beyond the slots', { ...idle, running: 14 }, 0],
    ['a buffer that lasts', { ...idle, running: 10, meanRunMs: 1, buffered: 160 }, 0],
    ['a buffer that runs while the next is read', { ...idle, running: 10, meanRunMs: 1, buffered: 100 }, 100],
    [
      'a buffer that runs out: a whole batch again',
      { ...idle, running: 10, meanRunMs: 1, buffered: 20 },
      100,
    ],
    ['a batch smaller than the slots', { ...idle, batchSize: 4 }, 4],
  ])('%s', (_, load, expected) => {
    expect(demand(load)).toBe(expected)
  })

  test('never exceeds a batch, nor what can be started at once or soon', () => {
    const load = fc.record({
      concurrency: fc.integer({ min: 1, max: 1000 }),
      batchSize: fc.integer({ min: 1, max: 500 }),
      running: fc.nat({ max: 2000 }),
      buffered: fc.nat({ max: 1000 }),
      meanRunMs: fc.oneof(fc.constant(null), fc.double({ min: 0, max: 1e7, noNaN: true })),
      visibilityTimeoutSeconds: fc.integer({ min: 1, max: 86_400 }),
    })
    fc.assert(
      fc.property(load, (one) => {
        const limit = demand(one)
        expect(Number.isInteger(limit)).toBe(true)
        expect(limit).toBeGreaterThanOrEqual(0)
        expect(limit).toBeLessThanOrEqual(one.batchSize)
        const startable = Math.max(0, one.concurrency - one.running) + soon(one)
        if (limit > 0) expect(limit + one.buffered).toBeLessThanOrEqual(startable)
        // Liveness: with nothing held there is always something to ask for.
        if (one.running === 0 && one.buffered === 0) expect(limit).toBeGreaterThan(0)
      }),
    )
  })

  test('looks ahead a small part of the visibility timeout', () => {
    expect([1, 30, 50, 3600].map(lookAheadMs)).toEqual([10, 300, 500, 500])
  })
})

describe('pacing', () => {
  const pace = { emptyReads: 1, idleIntervalMs: 5000, listening: false }
  test.each([
    ['after activity', pace, ACTIVE_INTERVAL_MS],
    ['a little later', { ...pace, emptyReads: 3 }, 400],
    ['idle', { ...pace, emptyReads: 1000 }, 5000],
    ['listening', { ...pace, listening: true }, 20_000],
    ['with an interval shorter than the active one', { ...pace, idleIntervalMs: 50 }, 50],
  ])('%s', (_, one, most) => {
    expect(pauseMs(one, lowest)).toBe(most)
    expect(pauseMs(one, highest)).toBeCloseTo(most * 0.8)
  })

  test('reconnecting never hammers and never waits for ever', () => {
    fc.assert(
      fc.property(fc.nat(), chance, (failures, luck) => {
        const ms = reconnectMs(failures, undefined, () => luck)
        expect(ms).toBeGreaterThanOrEqual(250)
        expect(ms).toBeLessThanOrEqual(MAX_RECONNECT_MS)
      }),
    )
    expect([1, 2, 3, 99].map((failures) => reconnectMs(failures, 1500, highest))).toEqual([
      500, 1000, 1500, 1500,
    ])
  })
})

describe('outcomes', () => {
  const policy = {
    maxAttempts: 3,
    backoff: { baseSeconds: 2, maxSeconds: 900 },
    onSuccess: 'archive' as const,
  }
  const first = { failures: 0 }
  test.each([
    ['an error', new Error('x'), first, { kind: 'retry', delayMs: 2000 }],
    ['the second error', new Error('x'), { failures: 1 }, { kind: 'retry', delayMs: 4000 }],
    [
      'the last error',
      new Error('x'),
      { failures: 2 },
      { kind: 'dead', reason: 'attempts_exhausted', attempts: 3 },
    ],
    [
      'beyond the last',
      new Error('x'),
      { failures: 9 },
      { kind: 'dead', reason: 'attempts_exhausted', attempts: 10 },
    ],
    [
      'unrecoverable',
      new UnrecoverableError('x'),
      first,
      { kind: 'dead', reason: 'unrecoverable', attempts: 1 },
    ],
    ['asked to wait', new RetryAfterError(7), first, { kind: 'retry', delayMs: 7000 }],
    [
      'asked to wait, at the end',
      new RetryAfterError(7),
      { failures: 2 },
      { kind: 'dead', reason: 'attempts_exhausted' },
    ],
    ['asked to wait for nonsense', new RetryAfterError(Number.NaN), first, { kind: 'retry', delayMs: 2000 }],
    ['asked to wait backwards', new RetryAfterError(-5), first, { kind: 'retry', delayMs: 2000 }],
    [
      'asked to wait for ever',
      new RetryAfterError(Number.POSITIVE_INFINITY),
      first,
      { kind: 'retry', delayMs: 2000 },
    ],
    [
      'an outage',
      new OutageError('down'),
      { failures: 9 },
      { kind: 'snooze', delayMs: 5000, breaker: { reason: 'down' } },
    ],
    [
      'an outage with a time',
      new OutageError('too many', { retryAfterSeconds: 7 }),
      first,
      { kind: 'snooze', breaker: { reason: 'too many', retryAfterMs: 7000 } },
    ],
    [
      'an outage with a time that is none',
      new OutageError('too many', { retryAfterSeconds: Number.NaN }),
      first,
      { kind: 'snooze', breaker: { reason: 'too many' } },
    ],
    ['a time limit', new TimeLimitError('x'), first, { kind: 'retry', delayMs: 2000 }],
    ['a stop', new StoppingError('x'), { failures: 2 }, { kind: 'release' }],
  ])('%s', (_, error, message, expected) => {
    expect(failureOutcome(error, message, policy, highest)).toMatchObject(expected)
  })

  test.each([
    ['nothing', undefined, { kind: 'archive' }],
    ['a snooze', snooze(3), { kind: 'snooze', delayMs: 3000 }],
    ['a number', 3, { kind: 'archive' }],
    ['what only looks like a snooze', { snoozeSeconds: Number.NaN }, { kind: 'archive' }],
  ])('success with %s', (_, result, expected) => {
    expect(successOutcome(result, policy, [])).toEqual(expected)
  })

  test('sends travel with the success', () => {
    const sends = [{ queue: 'a', message: 1 }]
    expect(successOutcome(undefined, { ...policy, onSuccess: 'delete' }, sends)).toEqual({
      kind: 'delete',
      sends,
    })
  })

  test('an error is told with its causes, and cut', () => {
    const error = new Error('outer', { cause: new Error('inner') })
    expect(errorText(error)).toMatch(/outer[\s\S]+caused by Error: inner/)
    const circular = new Error('round')
    circular.cause = circular
    expect(errorText(circular).split('caused by')).toHaveLength(4)
  })
})

describe('readiness', () => {
  const well: Condition = { state: 'running', downMs: 0, lastMessage: null, zombies: 0, slots: 10 }
  test.each([
    ['all is well', well, null],
    ['it starts', { ...well, state: 'starting' as const }, 'the worker is starting'],
    ['it stops', { ...well, state: 'stopping' as const }, 'the worker is stopping'],
    ['a hiccup', { ...well, downMs: TOLERATED_OUTAGE_MS, lastMessage: 'gone' }, null],
    [
      'an outage',
      { ...well, downMs: 60_000, lastMessage: 'gone' },
      'the database has not answered for 60 s: gone',
    ],
    ['zombies in some slots', { ...well, zombies: 9 }, null],
    ['zombies in all slots', { ...well, zombies: 10 }, expect.stringContaining('all 10 slots')],
  ])('%s', (_, condition, expected) => {
    expect(notReadyBecause(condition)).toEqual(expected)
  })
})

describe('settings', () => {
  test('what an operator says of a queue wins over its processor, which wins over the defaults', () => {
    const processor = defineProcessor({
      queue: 'q',
      payload: z.any(),
      concurrency: 3,
      timeoutMs: 5,
      process: () => {},
    })
    const settings = consumerSettings(
      processor,
      { concurrency: 1, timeoutMs: 1, batchSize: 1 },
      { timeoutMs: 9 },
    )
    expect(settings).toEqual({ ...DEFAULT_CONSUMER, concurrency: 3, timeoutMs: 9, batchSize: 1 })
  })

  test('the heartbeat is a third of the shortest visibility timeout, or what was set if that is less', () => {
    const queues = [30, 6].map((visibilityTimeoutSeconds) => ({
      ...DEFAULT_CONSUMER,
      visibilityTimeoutSeconds,
    }))
    expect(heartbeatMs({}, queues)).toBe(2000)
    expect(heartbeatMs({ heartbeatSeconds: 1 }, queues)).toBe(1000)
    expect(heartbeatMs({ heartbeatSeconds: 10 }, queues)).toBe(2000)
  })
})
