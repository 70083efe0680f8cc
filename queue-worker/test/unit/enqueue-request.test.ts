/** What a request to send may hold, and what is wrong with what it may not. */
import { expect, test } from 'vitest'
import { readEnqueueRequest } from '../../src/server/enqueue-request.ts'

const read = (body: unknown, key?: string) => readEnqueueRequest('orders', body, key)
const fields = (body: unknown, key?: string) => {
  const asked = read(body, key)
  return 'issues' in asked ? asked.issues.map(({ field, reason }) => `${field}: ${reason}`) : []
}

test('one message, with everything that a send may have', () => {
  const at = '2199-12-01T10:00:00+01:00'
  const body = { message: { n: 1 }, at, idempotency_key: ' k ', origin_key: 'o', headers: { trace: 'abc' } }
  expect(read(body)).toEqual({
    sends: [
      {
        queue: 'orders',
        message: { n: 1 },
        at: new Date(at),
        idempotencyKey: 'k',
        originKey: 'o',
        headers: { trace: 'abc' },
      },
    ],
  })
  expect(read({ message: null, delay_seconds: 1.5 })).toEqual({
    sends: [{ queue: 'orders', message: null, delaySeconds: 1.5 }],
  })
})

test('a payload may have the name of ours: many messages are told by "messages" at the top alone', () => {
  const message = { messages: [1, 2] }
  expect(read({ message })).toEqual({ sends: [{ queue: 'orders', message }] })
  expect(read({ messages: [{ message }, { message: 2 }] })).toEqual({
    sends: [
      { queue: 'orders', message },
      { queue: 'orders', message: 2 },
    ],
  })
})

test('the header Idempotency-Key counts for the request: as it is for one message, numbered for many', () => {
  const keys = (body: unknown, key: string) => {
    const asked = read(body, key)
    return 'sends' in asked ? asked.sends.map(({ idempotencyKey }) => idempotencyKey) : asked.issues
  }
  expect(keys({ message: 1 }, 'order-17')).toEqual(['order-17'])
  expect(keys({ message: 1 }, '"order-17"')).toEqual(['order-17'])
  expect(keys({ message: 1, idempotency_key: 'order-17' }, 'order-17')).toEqual(['order-17'])
  expect(keys({ messages: [{ message: 1 }, { message: 2 }] }, 'import')).toEqual(['import/0', 'import/1'])
  expect(fields({ message: 1, idempotency_key: 'a' }, 'b')).toEqual([
    'idempotency_key: differs from the header Idempotency-Key; give one of them',
  ])
  expect(fields({ message: 1 }, '  ')).toEqual([expect.stringMatching(/^Idempotency-Key: /)])
  expect(fields({ message: 1 }, 'x'.repeat(256))).toEqual([expect.stringMatching(/^Idempotency-Key: /)])
})

test.each([
  [{}, 'message: is missing: what the processor is given'],
  [{ to: 'me@example.com' }, /Unrecognized key: "to"/],
  [null, /^body: /],
  [[1], /^body: /],
  ['text', /^body: /],
  [{ message: 1, delay_seconds: -1 }, /^delay_seconds: /],
  [{ message: 1, delay_seconds: '5' }, /^delay_seconds: /],
  [{ message: 1, delay_seconds: 1e12 }, /^delay_seconds: /],
  [{ message: 1, at: 'tomorrow' }, /^at: give a time with its zone/],
  [{ message: 1, at: '2026-12-01T09:00:00' }, /^at: give a time with its zone/],
  [
    { message: 1, at: '2199-12-01T09:00:00Z', delay_seconds: 1 },
    'at: give either at or delay_seconds, not both',
  ],
  [{ message: 1, idempotency_key: '' }, /^idempotency_key: /],
  [{ message: 1, idempotency_key: 'x'.repeat(256) }, /^idempotency_key: /],
  [{ message: 1, headers: [] }, /^headers: /],
  [{ message: 'a\u0000b' }, /^message: .*NUL/],
  [{ message: '\ud800' }, /^message: .*surrogate/],
  [{ messages: [] }, /^messages: /],
  [{ messages: Array.from({ length: 501 }, () => ({ message: 1 })) }, /^messages: /],
  [{ messages: [{ message: 1 }, { message: 2, at: 'x' }] }, /^messages\.1\.at: /],
  [{ messages: [{ message: 1 }], delay_seconds: 1 }, /Unrecognized key: "delay_seconds"/],
])('%j is refused', (body, reason) => {
  const found = fields(body)
  expect(found).not.toEqual([])
  expect(found.join('\n')).toMatch(reason)
})
