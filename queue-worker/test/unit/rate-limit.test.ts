import { expect, test } from 'vitest'
import { describeRateLimit, parseRateLimit } from '../../src/utils/rate-limit.ts'

test.each([
  ['100/1m', 100, 60],
  ['100/m', 100, 60],
  [' 5000 / 1d ', 5000, 86_400],
  ['1/100ms', 1, 0.1],
  ['10/1.5h', 10, 5400],
  ['7/30', 7, 30],
  ['1000000/31d', 1_000_000, 2_678_400],
  ['3/S', 3, 1],
])('%s is so many in a period', (text, maxMessages, periodSeconds) => {
  expect(parseRateLimit(text)).toEqual({ maxMessages, periodSeconds })
})

test.each(['off', 'OFF', ' off '])('%s lifts a limit', (text) => expect(parseRateLimit(text)).toBeNull())

test.each([
  '',
  '100',
  '100/',
  '/1m',
  '0/1m',
  '1.5/1m',
  '-1/1m',
  '1000001/1m',
  '1/50ms',
  '1/0s',
  '1/32d',
  '1/-1m',
  '1/1y',
  '1/1m/2',
  'many/1m',
  'on',
])('"%s" is none', (text) => expect(parseRateLimit(text)).toBeUndefined())

test.each(['100/1m', '5000/1d', '1/100ms', '3/90m', '7/30s', '2/36h'])(
  '%s is shown as it was given',
  (text) => {
    const limit = parseRateLimit(text)
    expect(limit && describeRateLimit(limit)).toBe(text)
  },
)
