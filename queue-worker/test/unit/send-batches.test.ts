/** What goes out together, when, and what a failure does to whom; `send` is played by the test. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ConnectionFailure, type FailureKind } from '../../src/errors.ts'
import type { Send, SendResult } from '../../src/queue/contract.ts'
import { createSendBatches } from '../../src/queue/send-batches.ts'

const LIMITS = { maxSends: 10, maxBytes: 10_000, maxInFlight: 2 }
const one = (message: unknown, more: Partial<Send> = {}): Send => ({ queue: 'q', message, ...more })
const many = (count: number): Send[] => Array.from({ length: count }, (_, n) => one(n))

function failure(kind: FailureKind, options: { transient?: boolean; said?: string; cause?: unknown } = {}) {
  const { transient = false, said = kind, cause = new Error('as the driver said it') } = options
  return new ConnectionFailure(kind, said, 'None: a test did it.', transient, { cause })
}

type Call = { readonly sends: readonly Send[]; answer(): void; fail(error: unknown): void }

/** Requests that stay in flight until the test answers them. */
function held(limits = LIMITS) {
  const calls: Call[] = []
  const stored: unknown[] = []
  const batches = createSendBatches((sends) => {
    const { promise, resolve, reject } = Promise.withResolvers<SendResult[]>()
    const answer = () => {
      resolve(sends.map(({ message }) => ({ msgId: String(stored.push(message)), duplicate: false })))
    }
    calls.push({ sends, answer, fail: reject })
    return promise
  }, limits)
  const sizes = () => calls.map(({ sends }) => sends.length)
  return { batches, calls, sizes, stored }
}

/** Answers at once: refuses what `refusal` finds something against, all of it, and stores the rest. */
function judged(refusal: (sends: readonly Send[]) => Error | undefined, limits = LIMITS) {
  const requests: (readonly Send[])[] = []
  const stored: unknown[] = []
  const batches = createSendBatches(async (sends) => {
    requests.push(sends)
    const error = refusal(sends)
    if (error !== undefined) throw error
    return sends.map(({ message }) => ({ msgId: String(stored.push(message)), duplicate: false }))
  }, limits)
  const outcomes = async (sends: readonly Send[]) =>
    (await Promise.allSettled(sends.map((send) => batches.send(send)))).map(({ status }) => status)
  return { requests, stored, outcomes }
}

/** All that is due without waiting for anything outside. */
const ticks = () => new Promise<void>((resolve) => setImmediate(resolve))

describe('what goes out', () => {
  test('a lone send goes out in the tick it is made in, as a request of its own', async () => {
    const { batches, calls } = held()
    const sent = batches.send(one('a'))
    await Promise.resolve()
    expect(calls.map(({ sends }) => sends)).toEqual([[one('a')]])
    calls[0]?.answer()
    expect(await sent).toEqual({ msgId: '1', duplicate: false })
    await ticks()
    expect(calls).toHaveLength(1)
  })

  test('sends of one tick go together, and each gets the answer to its own', async () => {
    const { batches, calls, sizes } = held()
    const sent = Promise.all(many(7).map(batches.send))
    await ticks()
    expect(sizes()).toEqual([7])
    calls[0]?.answer()
    expect((await sent).map(({ msgId }) => msgId)).toEqual(['1', '2', '3', '4', '5', '6', '7'])
  })

  test('while all requests are in flight the others collect, and go out when one returns', async () => {
    const { batches, calls, sizes, stored } = held()
    const sent = []
    for (const send of many(9)) {
      sent.push(batches.send(send))
      await ticks()
    }
    expect(sizes()).toEqual([1, 1])
    calls[1]?.answer()
    await ticks()
    expect(sizes()).toEqual([1, 1, 7])
    calls[0]?.answer()
    calls[2]?.answer()
    await Promise.all(sent)
    expect(stored).toEqual([1, 0, 2, 3, 4, 5, 6, 7, 8])
  })

  test('a batch holds no more messages and no more bytes than the limits say; what is larger goes alone', async () => {
    const { batches, sizes } = held({ ...LIMITS, maxInFlight: 100 })
    for (const send of many(25)) void batches.send(send)
    await ticks()
    expect(sizes()).toEqual([10, 10, 5])
    for (const length of [4000, 4000, 4000, 50_000, 10, 10]) void batches.send(one('x'.repeat(length)))
    await ticks()
    expect(sizes().slice(3)).toEqual([2, 1, 1, 2])
    for (let n = 0; n < 4; n++) void batches.send(one('\u20ac'.repeat(1200)))
    await ticks()
    expect(sizes().slice(7), 'three bytes each').toEqual([2, 2])
  })

  test('sends with a key come in one order, whatever order they were made in', async () => {
    const { batches, calls } = held({ ...LIMITS, maxInFlight: 100 })
    const keyed = [
      one(1, { queue: 'b', idempotencyKey: 'x' }),
      one(2),
      one(3, { idempotencyKey: 'y' }),
      one(4, { idempotencyKey: 'x' }),
      one(5, { idempotencyKey: 'y' }),
      one(6),
    ]
    const sent = Promise.all(keyed.map(batches.send))
    await ticks()
    expect(calls[0]?.sends.map(({ message }) => message)).toEqual([2, 6, 1, 4, 3, 5])
    calls[0]?.answer()
    expect((await sent).map(({ msgId }) => msgId)).toEqual(['3', '1', '5', '4', '6', '2'])
  })
})

describe('what fails', () => {
  const bad = (send: Send) => send.message === 'bad'
  const REFUSALS = [
    ['a refusal', failure('rejected')],
    ['an error that a trigger raised', failure('unknown', { said: 'x: not today (P0001)' })],
    ['a request that the API cannot parse', failure('unknown', { said: 'x: no JSON (PGRST102)' })],
  ] as const

  test.each(REFUSALS)('by %s, only what causes it fails, and nothing is sent twice', async (_, error) => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.boolean(), { minLength: 1, maxLength: 30 }), async (goods) => {
        const { stored, outcomes, requests } = judged((sends) => (sends.some(bad) ? error : undefined))
        const sends = goods.map((good, n) => one(good ? n : 'bad'))
        expect(await outcomes(sends)).toEqual(goods.map((good) => (good ? 'fulfilled' : 'rejected')))
        expect(stored.toSorted()).toEqual(goods.flatMap((good, n) => (good ? [n] : [])).toSorted())
        expect(requests.length).toBeLessThan(2 * goods.length + 3)
      }),
      { numRuns: 60 },
    )
  })

  test.each(['missing_queue', 'forbidden'] as const)(
    '%s fails the queue it is about, with few requests',
    async (kind) => {
      const { requests, outcomes } = judged((sends) =>
        sends.some(({ queue }) => queue === 'gone') ? failure(kind) : undefined,
      )
      const queues = ['gone', 'a', 'gone', 'b', 'a', 'gone']
      const outcome = (queue: string) => (queue === 'gone' ? 'rejected' : 'fulfilled')
      expect(await outcomes(queues.map((queue, n) => one(n, { queue })))).toEqual(queues.map(outcome))
      expect(requests.map((sends) => sends.map(({ queue }) => queue))).toEqual([
        queues,
        ['gone', 'gone', 'gone'],
        ['a', 'a'],
        ['b'],
      ])
    },
  )

  test.each([
    ['an answer that was lost', failure('disconnected', { transient: true })],
    ['a time limit', failure('timeout', { transient: true })],
    ['an overloaded server', failure('unavailable', { transient: true })],
    ['an error nobody knows', failure('unknown', { transient: true, said: 'what? (XX000)' })],
    ['a gateway without a code', failure('unknown', { said: 'HTTP 408: too slow' })],
    ['a wrong key', failure('wrong_key')],
    ['an answer nobody understands', new ConnectionFailure('rejected', 'in a form unknown', 'None', false)],
    ['anything else', new TypeError('oops')],
  ])('by %s all of a batch fail with it, it is not sent again, and the next ones go on', async (_, error) => {
    let isFirst = true
    const { requests, stored, outcomes } = judged(() => {
      const thrown = isFirst ? error : undefined
      isFirst = false
      return thrown
    })
    expect(await outcomes(many(15))).toEqual([...Array(10).fill('rejected'), ...Array(5).fill('fulfilled')])
    expect(requests.map((sends) => sends.length)).toEqual([10, 5])
    expect(stored).toEqual([10, 11, 12, 13, 14])
    const [again] = await outcomes([one('again')])
    expect(again).toBe('fulfilled')
  })

  test('an answer that is lost while a refused batch is split fails that part alone', async () => {
    const { requests, outcomes } = judged((sends) => {
      if (sends.some(bad)) return failure('rejected')
      return sends.some(({ message }) => message === 'lost') ? failure('disconnected') : undefined
    })
    const sends = ['bad', 'b', 'c', 'd', 'lost', 'f', 'g', 'h'].map((message) => one(message))
    expect(await outcomes(sends)).toEqual([
      ...['rejected', 'fulfilled', 'fulfilled', 'fulfilled'],
      ...Array(4).fill('rejected'),
    ])
    expect(requests.filter((request) => request.some(({ message }) => message === 'lost'))).toHaveLength(2)
  })

  test('a send that gets no answer of its own fails', async () => {
    const batches = createSendBatches(async () => [{ msgId: '1', duplicate: false }], LIMITS)
    const results = await Promise.allSettled([batches.send(one(1)), batches.send(one(2))])
    expect(results).toMatchObject([{ value: { msgId: '1' } }, { reason: { message: /nothing/ } }])
  })
})

describe('closing', () => {
  test('waits for what is in flight and what waits behind it, and takes no more', async () => {
    const { batches, calls, sizes } = held()
    const sent = Promise.allSettled(many(30).map(batches.send))
    const order: string[] = []
    const closing = batches.close().then(() => void order.push('closed'))
    await expect(batches.send(one('late'))).rejects.toThrow(/closed/)
    await ticks()
    calls[0]?.answer()
    calls[1]?.fail(failure('disconnected', { transient: true }))
    await ticks()
    expect([sizes(), order]).toEqual([[10, 10, 10], []])
    calls[2]?.answer()
    await closing
    expect((await sent).map(({ status }) => status)).toEqual([
      ...Array(10).fill('fulfilled'),
      ...Array(10).fill('rejected'),
      ...Array(10).fill('fulfilled'),
    ])
  })

  test('with nothing to wait for is done at once, also again', async () => {
    const { batches } = held()
    await batches.close()
    await batches.close()
  })
})
