/** What may be sent, checked where it is asked for. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { checkSend, isQueueName } from '../../src/queue/sends.ts'

const circular: Record<string, unknown> = {}
circular.self = circular

describe('a send', () => {
  test.each([
    ['no queue name', { queue: 'Not A Name', message: 1 }, RangeError],
    ['a name that is too long', { queue: 'q'.repeat(44), message: 1 }, RangeError],
    ['two times at once', { queue: 'q', message: 1, delaySeconds: 1, at: new Date() }, RangeError],
    ['a negative delay', { queue: 'q', message: 1, delaySeconds: -1 }, RangeError],
    ['a delay without end', { queue: 'q', message: 1, delaySeconds: Number.POSITIVE_INFINITY }, RangeError],
    ['a date that is none', { queue: 'q', message: 1, at: new Date('soon') }, RangeError],
    ['nothing', { queue: 'q', message: undefined }, TypeError],
    ['a function', { queue: 'q', message: () => {} }, TypeError],
    ['a cycle', { queue: 'q', message: circular }, TypeError],
    ['a bigint', { queue: 'q', message: 1n }, TypeError],
    ['a NUL', { queue: 'q', message: { a: 'x\u0000' } }, TypeError],
    ['a NUL in a key', { queue: 'q', message: { '\u0000': 1 } }, TypeError],
    ['half a surrogate pair', { queue: 'q', message: '\ud83d' }, TypeError],
    ['headers that are no object', { queue: 'q', message: 1, headers: [1] as never }, TypeError],
    ['headers with a NUL', { queue: 'q', message: 1, headers: { a: '\u0000' } }, TypeError],
  ])('with %s is refused', (_, send, error) => {
    expect(() => checkSend(send)).toThrow(error)
  })

  test.each([
    ['null', null, null],
    ['a date', { at: new Date(0) }, { at: '1970-01-01T00:00:00.000Z' }],
    ['undefined fields', { a: undefined, b: 1 }, { b: 1 }],
    ['text that only looks like an escape', '\\u0000 \\ud800', '\\u0000 \\ud800'],
    ['a whole pair', '😀', '😀'],
  ])('of %s becomes plain JSON', (_, message, plain) => {
    expect(checkSend({ queue: 'q', message }).message).toEqual(plain)
  })

  test('of any JSON that jsonb can hold passes unchanged, and any other is refused', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (message) => {
        const text = JSON.stringify(message)
        const plain = JSON.parse(text)
        const storable = !hasUnstorable(plain)
        if (storable) expect(checkSend({ queue: 'q', message }).message).toEqual(plain)
        else expect(() => checkSend({ queue: 'q', message })).toThrow(TypeError)
      }),
    )
  })

  test.each([
    ['email_queue', true],
    ['a-b_9', true],
    ['', false],
    ['Ä', false],
    ['a;drop', false],
    ['a\n', false],
  ])('to %j: %s', (name, fits) => {
    expect(isQueueName(name)).toBe(fits)
  })
})

function hasUnstorable(value: unknown): boolean {
  if (typeof value === 'string') return value.includes('\u0000') || !value.isWellFormed()
  if (typeof value !== 'object' || value === null) return false
  return Object.entries(value).flat().some(hasUnstorable)
}
