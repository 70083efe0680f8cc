import { expect, test } from 'vitest'
import { OutageError, UnrecoverableError } from '../../src/errors.ts'
import { ageOf, serverWaitSeconds, unlessTooOld } from '../../src/processors/server-wait.ts'

const ago = (seconds: number) => ({ enqueuedAt: new Date(Date.now() - seconds * 1000) })

test('an outage is one until the message is too old for it; whatever else is thrown stays what it is', () => {
  const outage = new OutageError('the server is down')
  expect(unlessTooOld(outage, ago(50), 100)).toBe(outage)
  expect(unlessTooOld(outage, ago(-3600), 100), 'a clock that is behind').toBe(outage)
  const given = unlessTooOld(outage, ago(150), 100)
  expect(given).toBeInstanceOf(UnrecoverableError)
  expect(given).toMatchObject({
    message: expect.stringMatching(/Given up after 150 s. the server is down/),
    cause: outage,
  })
  for (const other of [new Error('x'), 'x', undefined]) expect(unlessTooOld(other, ago(150), 100)).toBe(other)
})

test('the wait for a server grows with the age of the message, within bounds', () => {
  const waits = [0, 100, 400, 10_000].map((age) => serverWaitSeconds(age, () => 0.5))
  expect(waits).toEqual([10, 25, 100, 300])
  expect(ageOf(ago(-3600).enqueuedAt)).toBe(0)
})
