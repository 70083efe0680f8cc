import { expect, expectTypeOf, test } from 'vitest'
import { z } from 'zod'
import { defineProcessor, type Processor, snooze } from '../../src/processors/define.ts'

test('a processor gets the type of its payload from its schema, and fits among others', () => {
  const processor = defineProcessor({
    queue: 'hello',
    payload: z.object({ name: z.string(), times: z.number().default(1) }),
    process(payload) {
      expectTypeOf(payload).toEqualTypeOf<{ name: string; times: number }>()
    },
  })
  const several: Processor[] = [processor]
  expect(several[0]?.queue).toBe('hello')
})

test('snooze refuses a time that is no time', () => {
  expect(snooze(5)).toEqual({ snoozeSeconds: 5 })
  expect(() => snooze(-1)).toThrow(RangeError)
  expect(() => snooze(Number.NaN)).toThrow(/give seconds/)
})
