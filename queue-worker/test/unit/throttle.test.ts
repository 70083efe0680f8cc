import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { createThrottle } from '../../src/utils/throttle.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

test('the first call is made at once, those that follow as one, when the interval is over', () => {
  const run = vi.fn()
  const throttle = createThrottle(run, 1000)
  for (let n = 0; n < 5; n++) throttle.call()
  expect(run).toHaveBeenCalledTimes(1)
  vi.advanceTimersByTime(999)
  expect(run).toHaveBeenCalledTimes(1)
  vi.advanceTimersByTime(1)
  expect(run).toHaveBeenCalledTimes(2)
  throttle.call()
  expect(run).toHaveBeenCalledTimes(2)
  vi.advanceTimersByTime(1000)
  expect(run).toHaveBeenCalledTimes(3)
  vi.advanceTimersByTime(5000)
  expect(run).toHaveBeenCalledTimes(3)
  throttle.call()
  expect(run).toHaveBeenCalledTimes(4)
})

test('flush makes the one that waits and no other; cancel drops it', () => {
  const run = vi.fn()
  const throttle = createThrottle(run, 1000)
  throttle.flush()
  expect(run).toHaveBeenCalledTimes(0)
  throttle.call()
  throttle.flush()
  expect(run).toHaveBeenCalledTimes(1)
  throttle.call()
  throttle.flush()
  expect(run).toHaveBeenCalledTimes(2)
  throttle.call()
  throttle.cancel()
  vi.advanceTimersByTime(5000)
  expect(run).toHaveBeenCalledTimes(2)
})
