/** The test kit, used as in a test of a processor. */
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import { z } from 'zod'
import {
  createProducer,
  defineProcessor,
  OutageError,
  RetryAfterError,
  snooze,
  UnrecoverableError,
} from '../../src/library.ts'
import { createTestKit, type TestKit } from '../../src/testing/index.ts'

const charged: string[] = []

/** Does what its message says. */
const obedient = defineProcessor({
  queue: 'obedient',
  payload: z.object({ mode: z.string(), n: z.number().default(0) }),
  maxAttempts: 3,
  async process({ mode, n }, context) {
    if (mode === 'fail') throw new Error('it failed')
    if (mode === 'fail once' && context.attempt === 1) throw new Error('the first time')
    if (mode === 'never') throw new UnrecoverableError('it can never work')
    if (mode === 'retry in a minute' && context.attempt === 1) throw new RetryAfterError(60)
    if (mode === 'down') throw new OutageError('it is down')
    if (mode === 'snooze') return snooze(n)
    if (mode === 'send') context.send('other', { n: n + 1 })
    if (mode === 'send nowhere') context.send('no_such_queue', {})
    if (mode === 'charge') await context.once('charge', () => void charged.push(context.originKey))
    if (mode === 'write')
      await context.transaction((sql) => sql`insert into written values (${context.originKey})`)
    if (mode === 'wait') await sleep(60_000, undefined, { signal: context.signal })
    return undefined
  },
})
const limited = defineProcessor({
  queue: 'limited',
  payload: z.unknown(),
  onSuccess: 'delete',
  rateLimit: { maxMessages: 2, periodSeconds: 60 },
  process() {},
})

let kit: TestKit
beforeAll(async () => {
  kit = await createTestKit({
    processors: [obedient, limited],
    queues: ['other'],
    queueOverrides: { obedient: { maxInterruptions: 3 } },
    now: new Date('2030-01-01T00:00:00Z'),
  })
  await kit.sql`create table written (origin_key text primary key, at timestamptz default now())`
})
beforeEach(() => kit.reset())
afterAll(() => kit.close())

const send = (mode: string, n = 0) => kit.send('obedient', { mode, n })
const outcomes = async () => (await kit.drain()).map(({ outcome }) => outcome)

test('what succeeds is archived, or deleted where the processor says so', async () => {
  const { msgId } = await send('ok')
  await kit.send('limited', 'x')
  expect(await kit.drain()).toEqual(
    expect.arrayContaining([
      { queue: 'obedient', msgId, payload: { mode: 'ok', n: 0 }, attempt: 1, outcome: 'archive' },
      { queue: 'limited', msgId: '1', payload: 'x', attempt: 1, outcome: 'delete' },
    ]),
  )
  expect(await kit.archived('obedient')).toEqual([
    { msgId, payload: { mode: 'ok', n: 0 }, headers: null, deliveries: 1 },
  ])
  expect([await kit.archived('limited'), await kit.waiting('limited')]).toEqual([[], []])
  expect(await kit.drain()).toEqual([])
})

test('a failure waits out its backoff on the clock of the kit, until its attempts are used up', async () => {
  await send('fail')
  const [first] = await kit.drain()
  expect(first).toMatchObject({ attempt: 1, outcome: 'retry', error: 'it failed' })
  const [waiting] = await kit.waiting('obedient')
  expect(waiting?.visibleAt.getTime()).toBe(kit.clock.now().getTime() + (first?.delaySeconds ?? 0) * 1000)
  expect(await outcomes()).toEqual([])
  kit.clock.advance('1m')
  expect(await outcomes()).toEqual(['retry'])
  kit.clock.advance('1m')
  expect(await kit.drain()).toMatchObject([{ attempt: 3, outcome: 'dead', reason: 'attempts_exhausted' }])
  expect(await kit.deadLetters('obedient')).toMatchObject([
    { reason: 'attempts_exhausted', attempts: 3, message: { mode: 'fail' } },
  ])
})

test('each other way to end is as in production', async () => {
  await send('never')
  await kit.send('obedient', { mode: 7 })
  await send('snooze', 3600)
  await send('retry in a minute')
  const ran = await kit.drain()
  const byId = ran.toSorted((a, b) => Number(a.msgId) - Number(b.msgId))
  expect(byId.map(({ outcome, reason, delaySeconds }) => [outcome, reason ?? delaySeconds])).toEqual([
    ['dead', 'unrecoverable'],
    ['dead', 'invalid_payload'],
    ['snooze', 3600],
    ['retry', 60],
  ])
  kit.clock.advance('59s')
  expect(await outcomes()).toEqual([])
  kit.clock.advance('1s')
  expect(await outcomes()).toEqual(['archive'])
  kit.clock.advance('1h')
  expect(await outcomes()).toEqual(['snooze'])
})

test('delays, idempotency keys and origin keys of sends', async () => {
  const producer = createProducer(kit.connection)
  const key = { idempotencyKey: 'order-1', originKey: 'order-1', delaySeconds: 60 }
  const sent = await producer.send('obedient', { mode: 'charge' }, key)
  expect(await kit.send('obedient', { mode: 'charge' }, key)).toEqual({ ...sent, duplicate: true })
  await producer.close()
  expect(await outcomes()).toEqual([])
  kit.clock.advance('1m')
  expect(await outcomes()).toEqual(['archive'])
  expect(charged.splice(0)).toEqual(['order-1'])
})

test('what a processor sends is sent with its success, and processed in the same drain', async () => {
  await send('send', 1)
  await send('send nowhere')
  const ran = await kit.drain()
  expect(ran.map(({ outcome }) => outcome)).toEqual(['archive', 'archive'])
  expect(await kit.waiting('other')).toMatchObject([{ payload: { n: 2 } }])
  expect(await kit.waiting('obedient'), 'its success could not be recorded').toHaveLength(1)
})

test('a worker that dies before it has recorded the outcome: the message comes again, its step is not repeated', async () => {
  await send('charge')
  expect(await kit.crash()).toMatchObject([{ outcome: 'archive' }])
  expect(await outcomes(), 'hidden until its visibility timeout has passed').toEqual([])
  kit.clock.advance('30s')
  expect(await kit.drain()).toMatchObject([{ attempt: 1, outcome: 'archive' }])
  expect(await kit.archived('obedient')).toMatchObject([{ deliveries: 2 }])
  expect(charged.splice(0)).toHaveLength(1)
})

test('one that dies in the middle of a step leaves it uncertain, for a person to decide', async () => {
  await send('charge')
  await kit.crash({ during: 'charge' })
  kit.clock.advance('30s')
  expect(await kit.drain()).toMatchObject([
    { outcome: 'dead', reason: 'unrecoverable', error: expect.stringMatching(/step "charge" was started/) },
  ])
  expect(await kit.redrive('obedient', { forgetUncertain: true })).toBe(1)
  expect(await outcomes()).toEqual(['archive'])
  const [first, second] = charged.splice(0)
  expect(first).toBe(second)
})

test('a message that always kills its worker is given up', async () => {
  await send('ok')
  for (let death = 0; death < 3; death += 1) {
    await kit.crash()
    kit.clock.advance('30s')
  }
  expect(await kit.drain()).toMatchObject([{ outcome: 'dead', reason: 'interruptions_exhausted' }])
})

test('writes in context.transaction are made once, with the time of the clock', async () => {
  await send('write')
  expect(await outcomes()).toEqual(['archive'])
  const rows = await kit.sql`select at from written`
  expect(rows.map(({ at }) => at)).toEqual([kit.clock.now()])
})

test('a rate limit and a breaker hold on the clock of the kit', async () => {
  for (const n of [1, 2, 3]) await kit.send('limited', n)
  expect(await outcomes()).toEqual(['delete', 'delete'])
  kit.clock.advance('61s')
  expect(await outcomes()).toEqual(['delete'])
  await send('down')
  await send('ok')
  expect(await kit.drain()).toContainEqual(
    expect.objectContaining({ outcome: 'snooze', error: 'it is down' }),
  )
})

test('a drain that never ends says so', async () => {
  await send('snooze', 0)
  await expect(kit.drain({ limitSeconds: 1 })).rejects.toThrow(/not empty within 1 s/)
})

test('a processor that looks at the clock of its process can be shown the same time', async () => {
  vi.setSystemTime(kit.clock.now())
  await send('charge')
  await kit.crash()
  kit.clock.advance('30s')
  vi.setSystemTime(kit.clock.now())
  expect(await outcomes()).toEqual(['archive'])
  expect(new Date()).toEqual(kit.clock.now())
  vi.useRealTimers()
  charged.splice(0)
})

test('the clock does not go back, and what is no time is refused', () => {
  const before = kit.clock.now()
  expect(() => kit.clock.advance('soon')).toThrow('"soon" is no duration: give one like 30s')
  expect(() => kit.clock.set(new Date(0))).toThrow(/is past/)
  expect(() => kit.clock.set(new Date(Number.NaN))).toThrow(/no valid date/)
  expect(kit.clock.now()).toEqual(before)
})
