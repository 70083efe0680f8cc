import { describe, expect, test } from 'vitest'
import { type Condition, notReadyBecause } from '../../src/engine/health.ts'
import { watchQueues } from '../../src/engine/readable.ts'
import type { QueueState } from '../../src/queue/contract.ts'

const well: Condition = { state: 'running', downMs: 0, lastMessage: null, zombies: 0, slots: 10 }

describe('queues that cannot be read though the database answers', () => {
  function watched(...queues: string[]) {
    let nowMs = 0
    const watch = watchQueues(queues, () => nowMs)
    return {
      watch,
      at(ms: number, queue: string, status: QueueState['status'], error?: string) {
        nowMs = ms
        const state = { queue, status, nextVisibleInMs: null, ...(error === undefined ? {} : { error }) }
        watch.listener.queueState?.({ ...state, before: 'ok' })
      },
      to(ms: number) {
        nowMs = ms
        return watch.unreadable()
      },
    }
  }

  test('one queue of two is no reason, both are, from when the second was', () => {
    const { at, to } = watched('a', 'b')
    expect(to(0)).toBeNull()
    at(1000, 'a', 'error', 'disk full')
    expect(to(2000)).toBeNull()
    at(3000, 'b', 'missing')
    expect(to(5000)).toEqual({ forMs: 2000, reason: 'queue a cannot be read; the log says why' })
    at(6000, 'a', 'error', 'disk still full')
    expect(to(7000)).toEqual({ forMs: 4000, reason: 'queue a cannot be read; the log says why' })
    at(8000, 'a', 'ok')
    expect(to(9000)).toBeNull()
  })

  test('a missing queue is named, a paused one is as somebody wants it', () => {
    const { at, to } = watched('a')
    at(0, 'a', 'missing')
    expect(to(1000)).toEqual({ forMs: 1000, reason: 'queue a does not exist' })
    at(2000, 'a', 'paused')
    expect(to(60_000)).toBeNull()
  })

  test('one that a rate limit or a breaker holds is as somebody wants it too, and its state is told', () => {
    const { watch, at, to } = watched('a', 'b')
    for (const status of ['limited', 'breaker_open', 'breaker_half_open'] as const) {
      at(0, 'a', 'error', 'disk full')
      at(0, 'b', 'error', 'disk full')
      expect(to(1000)).not.toBeNull()
      at(2000, 'a', status)
      expect(to(60_000)).toBeNull()
      expect(watch.states()).toEqual({ a: status, b: 'error' })
    }
  })

  test('the worker is not ready when that lasts longer than what is tolerated', () => {
    const unreadable = { forMs: 10_000, reason: 'queue a cannot be read; the log says why' }
    expect(notReadyBecause({ ...well, unreadable })).toBeNull()
    expect(notReadyBecause({ ...well, unreadable: { ...unreadable, forMs: 12_000 } })).toBe(
      'nothing could be read for 12 s: queue a cannot be read; the log says why',
    )
    expect(notReadyBecause({ ...well, unreadable, toleratedOutageMs: 5000 })).toMatch(/cannot be read/)
    expect(notReadyBecause({ ...well, downMs: 6000, lastMessage: 'gone', toleratedOutageMs: 5000 })).toMatch(
      /gone/,
    )
  })
})
