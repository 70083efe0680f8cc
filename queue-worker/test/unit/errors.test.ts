/** What processors throw is told apart also when they were given another copy of this package. */
import { expect, test } from 'vitest'
import * as errors from '../../src/errors.ts'
import { MailServerError } from '../../src/services/email-outage.ts'

// As the built package is to a worker that runs from its sources.
const address = '../../src/errors.ts?copy'
const ours = { ...errors }
const theirs: typeof ours = { ...(await import(address)) }

const thrown = (from: typeof ours) => ({
  UnrecoverableError: new from.UnrecoverableError('x'),
  OutageError: new from.OutageError('x'),
  RetryAfterError: new from.RetryAfterError(5),
  UncertainEffectError: new from.UncertainEffectError('x'),
  EffectNotDoneError: new from.EffectNotDoneError('x'),
  SetupError: new from.SetupError('x', 'y'),
})
const NAMES = [
  'UnrecoverableError',
  'OutageError',
  'RetryAfterError',
  'UncertainEffectError',
  'EffectNotDoneError',
  'SetupError',
] as const
const namesFor = (error: unknown, from = ours) => NAMES.filter((name) => error instanceof from[name])

test('the copy is one', () => {
  for (const name of NAMES) expect(theirs[name]).not.toBe(ours[name])
})

test.each(NAMES)('%s is known by its name across copies, and taken for no other', (name) => {
  for (const from of [ours, theirs]) {
    expect(namesFor(thrown(ours)[name], from)).toEqual([name])
    expect(namesFor(thrown(theirs)[name], from)).toEqual([name])
    expect(thrown(from)[name]).toBeInstanceOf(Error)
  }
})

test('a subclass is one of its class, in both copies, and not the other way round', () => {
  const failure = new MailServerError('login', 'x', 'y')
  expect(namesFor(failure)).toEqual(['OutageError'])
  expect(namesFor(failure, theirs)).toEqual(['OutageError'])
  expect(failure).toBeInstanceOf(MailServerError)
  for (const from of [ours, theirs]) {
    for (const error of Object.values(thrown(from))) expect(error instanceof MailServerError).toBe(false)
  }
  class TheirLimit extends theirs.RetryAfterError {}
  expect(namesFor(new TheirLimit(5))).toEqual(['RetryAfterError'])
  expect(new TheirLimit(5) instanceof MailServerError).toBe(false)
  expect(failure instanceof TheirLimit).toBe(false)
})

test('anything else is none of them', () => {
  const others = [
    new Error('x'),
    new TypeError('x'),
    new ours.TimeLimitError('x'),
    {},
    null,
    undefined,
    'x',
    5,
  ]
  for (const other of others) expect(namesFor(other)).toEqual([])
  expect(namesFor(Object.create(null))).toEqual([])
})

test('the marks are not shown with an error', () => {
  for (const error of Object.values(thrown(ours))) expect(Object.getOwnPropertySymbols(error)).toEqual([])
})
