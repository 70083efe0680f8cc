import { expect, test } from 'vitest'
import { RetryAfterError, UnrecoverableError } from '../../src/errors.ts'
import { judge, retryAfterSeconds } from '../../src/processors/http-callback-outcome.ts'
import type { CallbackAnswer } from '../../src/services/http.ts'

const NOW = Date.parse('2026-11-24T10:00:00Z')
const answer = (given: Partial<CallbackAnswer>): CallbackAnswer => ({
  status: 200,
  origin: 'https://a.example',
  redirectedTo: null,
  retryAfter: undefined,
  date: undefined,
  excerpt: '',
  ...given,
})

function verdict(given: Partial<CallbackAnswer>, attempt = 1) {
  try {
    judge(answer(given), attempt, NOW, () => 0)
    return 'success'
  } catch (error) {
    if (error instanceof UnrecoverableError) return 'dead'
    return error instanceof RetryAfterError ? error.seconds : 'retry'
  }
}

test.each([
  [200, 'success'],
  [201, 'success'],
  [202, 'success'],
  [204, 'success'],
  [299, 'success'],
  [300, 'dead'],
  [301, 'dead'],
  [302, 'dead'],
  [303, 'dead'],
  [304, 'dead'],
  [307, 'dead'],
  [308, 'dead'],
  [400, 'dead'],
  [401, 'dead'],
  [403, 'dead'],
  [404, 'dead'],
  [405, 'dead'],
  [408, 'retry'],
  [409, 'dead'],
  [410, 'dead'],
  [413, 'dead'],
  [418, 'dead'],
  [422, 'dead'],
  [425, 'retry'],
  [429, 'retry'],
  [451, 'dead'],
  [500, 'retry'],
  [501, 'retry'],
  [502, 'retry'],
  [503, 'retry'],
  [504, 'retry'],
  [520, 'retry'],
  [599, 'retry'],
])('%i means %s', (status, expected) => {
  expect(verdict({ status })).toBe(expected)
})

test.each([
  ['120', 120],
  [' 7 ', 7],
  ['0', 1],
  ['86400', 86_400],
  ['9999999999', 86_400],
  ['Tue, 24 Nov 2026 10:05:00 GMT', 300],
  ['Tuesday, 24-Nov-26 10:05:00 GMT', 300],
  ['Tue Nov 24 10:05:00 2026 GMT', 300],
  ['Tue, 24 Nov 2026 09:00:00 GMT', 1],
  ['Tue, 24 Nov 2099 09:00:00 GMT', 86_400],
  ['-5', null],
  ['1.5', null],
  ['soon', null],
  ['', null],
  ['12345678901', null],
  [undefined, null],
])('Retry-After: %s is a wait of %s seconds', (retryAfter, expected) => {
  expect(retryAfterSeconds({ retryAfter, date: undefined }, NOW)).toBe(expected)
})

test('a date counts by the clock of who wrote it: ours may be wrong', () => {
  const retryAfter = 'Tue, 24 Nov 2026 11:00:30 GMT'
  expect(retryAfterSeconds({ retryAfter, date: 'Tue, 24 Nov 2026 11:00:00 GMT' }, NOW)).toBe(30)
  expect(retryAfterSeconds({ retryAfter, date: 'nonsense' }, NOW)).toBe(3630)
})

test('the wait that was asked for is honoured, a little spread out; of a refusal it means nothing', () => {
  expect(verdict({ status: 429, retryAfter: '60' })).toBe(60)
  expect(verdict({ status: 503, retryAfter: 'Tue, 24 Nov 2026 10:05:00 GMT' })).toBe(300)
  expect(verdict({ status: 404, retryAfter: '60' })).toBe('dead')
  expect(() => judge(answer({ status: 429, retryAfter: '60' }), 1, NOW, () => 1)).toThrow(
    expect.objectContaining({ seconds: 66 }),
  )
})

test('who asks for a second each time does not use up all attempts within seconds', () => {
  const busy = { status: 503, retryAfter: '1' }
  expect([1, 2, 3, 10].map((attempt) => verdict(busy, attempt))).toEqual([1, 2, 4, 512])
  expect(verdict({ status: 503, retryAfter: '3600' }, 10)).toBe(3600)
  expect(verdict(busy, 1000)).toBe(86_400)
})

test('the error says who answered what', () => {
  const thrown = (given: Partial<CallbackAnswer>) => {
    try {
      judge(answer(given), 1, NOW, () => 0)
    } catch (error) {
      return String(error)
    }
    return 'nothing'
  }
  expect(thrown({ status: 422, excerpt: 'no such field' })).toBe(
    'UnrecoverableError: https://a.example refused the callback with 422: no such field',
  )
  expect(thrown({ status: 503, excerpt: 'busy', retryAfter: '5' })).toBe(
    'RetryAfterError: https://a.example answered 503: busy (it asked for 5 s)',
  )
  expect(thrown({ status: 301, redirectedTo: 'https://b.example' })).toMatch(
    /answered 301, a redirect to https:\/\/b\.example that is not followed: give the url it leads to/,
  )
  expect(thrown({ status: 410 })).toMatch(/answered 410: it wants no more of these callbacks/)
})
