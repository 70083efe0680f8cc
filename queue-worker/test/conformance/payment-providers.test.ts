/** What the payments processor relies on, asked of every provider: the sandbox, and the real ones against local servers. */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { OutageError, UncertainEffectError, UnrecoverableError } from '../../src/errors.ts'
import {
  type CreatePayment,
  KeySpentError,
  type PaymentProvider,
  type ProviderPayment,
} from '../../src/services/payments/contract.ts'
import type { Fault } from '../support/fake-api.ts'
import { BENCHES, type ProviderBench } from '../support/payment-providers.ts'

const { signal } = new AbortController()

describe.each(Object.entries(BENCHES))('%s', (name, open) => {
  let bench: ProviderBench
  let provider: PaymentProvider
  beforeAll(async () => {
    bench = await open()
    provider = bench.provider
  })
  afterAll(() => bench.close())

  const call = (key: string = randomUUID()) => ({ key, signal })
  const lookFor = ({ paymentId }: CreatePayment) =>
    provider.find(
      paymentId,
      { from: new Date(Date.now() - 600_000), to: new Date(Date.now() + 600_000) },
      signal,
    )
  const change = ({ id }: ProviderPayment, amount: bigint) => ({ id, amount, currency: 'EUR' })
  const thrownBy = (promise: Promise<unknown>): Promise<Error> =>
    promise.then(
      () => new Error('nothing was thrown'),
      (error) => error,
    )

  test('charges, and shows what it did', async () => {
    const wanted = bench.payment('charged')
    const made = await provider.create(wanted, call())
    expect(made).toMatchObject({
      ...{
        status: 'succeeded',
        amount: 5000n,
        currency: 'EUR',
        captured: 5000n,
        refunded: 0n,
        paymentId: wanted.paymentId,
        error: undefined,
      },
    })
    expect(await provider.read(made.id, signal)).toMatchObject({
      id: made.id,
      status: 'succeeded',
      captured: 5000n,
    })
    expect(provider.name).toBe(name)
  })

  test('the same key again charges nothing and answers the same', async () => {
    const wanted = bench.payment('charged')
    const key = randomUUID()
    const made = await provider.create(wanted, call(key))
    expect(await provider.create(wanted, call(key))).toEqual(made)
    expect(await bench.charges(wanted.paymentId)).toBe(1)
  })

  test('the same key for something else is refused', async () => {
    const key = randomUUID()
    await provider.create(bench.payment('charged'), call(key))
    const other = bench.payment('charged', { amount: 5001n })
    expect(await thrownBy(provider.create(other, call(key)))).toBeInstanceOf(UnrecoverableError)
    expect(await bench.charges(other.paymentId)).toBe(0)
  })

  test('holds, captures a part, once', async () => {
    const held = await provider.create(bench.payment('charged', { capture: false }), call())
    expect(held).toMatchObject({ status: 'authorized', captured: 0n })
    const key = randomUUID()
    const captured = await provider.capture(change(held, 3000n), call(key))
    expect(captured).toMatchObject({ status: 'succeeded', captured: 3000n })
    expect(await provider.capture(change(held, 3000n), call(key))).toMatchObject({ captured: 3000n })
    expect(await thrownBy(provider.capture(change(held, 1n), call()))).toBeInstanceOf(UnrecoverableError)
  })

  test('holds and gives up; then there is nothing to capture', async () => {
    const held = await provider.create(bench.payment('charged', { capture: false }), call())
    expect(await provider.cancel(held, call())).toMatchObject({ status: 'canceled', captured: 0n })
    expect(await thrownBy(provider.capture(change(held, 5000n), call()))).toBeInstanceOf(UnrecoverableError)
    expect(await provider.read(held.id, signal)).toMatchObject({ status: 'canceled' })
  })

  test('a declined payment is an answer, and stays declined', async () => {
    const wanted = bench.payment('declined')
    const made = await provider.create(wanted, call())
    expect(made).toMatchObject({ status: 'failed', captured: 0n, error: expect.stringMatching(/\w{5}/) })
    expect(await provider.read(made.id, signal)).toMatchObject({ status: 'failed', error: made.error })
    expect(await lookFor(wanted)).toMatchObject({ id: made.id, status: 'failed' })
  })

  test('a declined payment that is still open can be closed, and shows as failed all the same', async () => {
    const made = await provider.create(bench.payment('declined'), call())
    if (made.isOpen) await provider.cancel(made, call())
    const shown = await provider.read(made.id, signal)
    expect(shown).toMatchObject({ status: 'failed', error: made.error })
    expect(shown.isOpen ?? false).toBe(false)
  })

  test('a customer who has to do something is sent somewhere, and then it is charged', async () => {
    const wanted = bench.payment('waits')
    const made = await provider.create(wanted, call())
    expect(made).toMatchObject({ status: 'pending', confirmationUrl: expect.stringMatching(/^https:/) })
    await bench.pays(made.id)
    const { status, captured } = await provider.read(made.id, signal)
    expect([status, captured]).toEqual(['succeeded', wanted.amount])
  })

  test('gives back in parts, each once, and never more than there is', async () => {
    const made = await provider.create(bench.payment('charged'), call())
    const reference = `refund-${randomUUID()}`
    expect(await provider.findRefund({ id: made.id, reference }, signal)).toBeNull()
    const key = randomUUID()
    const first = await provider.refund({ ...change(made, 2000n), reference }, call(key))
    expect(first.status).toBe('succeeded')
    expect(await provider.refund({ ...change(made, 2000n), reference }, call(key))).toMatchObject({
      id: first.id,
    })
    expect(await provider.findRefund({ id: made.id, reference }, signal)).toMatchObject({ id: first.id })
    await provider.refund({ ...change(made, 2500n), reference: 'second', reason: 'one was broken' }, call())
    const tooMuch = provider.refund({ ...change(made, 501n), reference: 'third' }, call())
    expect(await thrownBy(tooMuch)).toBeInstanceOf(UnrecoverableError)
    expect(await provider.read(made.id, signal)).toMatchObject({
      status: 'succeeded',
      captured: 5000n,
      refunded: 4500n,
    })
  })

  test('finds a payment by our id, and none where there is none', async () => {
    const wanted = bench.payment('charged')
    const [made] = await Promise.all([
      provider.create(wanted, call()),
      ...Array.from({ length: 3 }, () => provider.create(bench.payment('charged'), call())),
    ])
    expect(await lookFor(wanted)).toMatchObject({ id: made?.id, paymentId: wanted.paymentId })
    expect(await lookFor(bench.payment('charged'))).toBeNull()
  })

  test('a payment that does not exist can never be read', async () => {
    expect(await thrownBy(provider.read('pi_of_nobody', signal))).toBeInstanceOf(UnrecoverableError)
  })

  test('an amount that is too precise for a float stays what it is, or is refused', async () => {
    const wanted = bench.payment('charged', { amount: 9007199254740993n })
    const made = await provider.create(wanted, call()).catch((error) => error)
    if (made instanceof Error) expect(made).toBeInstanceOf(UnrecoverableError)
    else expect(made.captured).toBe(9007199254740993n)
  })

  test('an aborted call ends at once', async () => {
    const error = thrownBy(provider.read('x', AbortSignal.abort(new Error('stop'))))
    expect(await error).toBeInstanceOf(Error)
  })

  test('a key that is refused is no fault of the message', async () => {
    if (bench.wrongKey === null) return
    const error = await thrownBy(bench.wrongKey.create(bench.payment('charged'), call()))
    expect(error).not.toBeInstanceOf(UnrecoverableError)
    expect(error.message).toContain('refuses our key')
  })

  describe('when it fails', () => {
    const can = (fault: Fault) => bench.faults.includes(fault)

    test('too many requests: says when to come again, and nothing was done', async () => {
      const wanted = bench.payment('rate_limited')
      const error = await thrownBy(provider.create(wanted, call()))
      expect(error).toBeInstanceOf(OutageError)
      expect((error as OutageError).retryAfterSeconds).toBeGreaterThan(0)
      expect(await lookFor(wanted)).toBeNull()
    })

    test.each(['cut', 'cut_late'] as const)(
      '%s: what became of it can be asked, and the same key charges once',
      async (fault) => {
        if (!can(fault)) return
        const wanted = bench.payment(fault)
        const key = randomUUID()
        expect(await thrownBy(provider.create(wanted, call(key)))).toBeInstanceOf(UncertainEffectError)
        const isDone = fault === 'cut_late'
        expect((await lookFor(wanted))?.paymentId).toBe(isDone ? wanted.paymentId : undefined)
        expect(await provider.create(wanted, call(key))).toMatchObject({ status: 'succeeded' })
        expect(await bench.charges(wanted.paymentId)).toBe(1)
      },
    )

    test.each(['fails', 'fails_late'] as const)(
      '%s: another key is taken only when there is nothing',
      async (fault) => {
        if (!can(fault)) return
        const wanted = bench.payment(fault)
        const key = randomUUID()
        const first = await thrownBy(provider.create(wanted, call(key)))
        expect(first).not.toBeInstanceOf(UnrecoverableError)
        const again = await provider.create(wanted, call(key)).catch((error) => error)
        if (again instanceof KeySpentError && (await lookFor(wanted)) === null) {
          await provider.create(wanted, call())
        }
        expect(await lookFor(wanted)).toMatchObject({ status: 'succeeded' })
        expect(await bench.charges(wanted.paymentId)).toBe(1)
      },
    )
  })

  describe('a notification', () => {
    test('that is genuine says which payment to look at, and shows it as it is now', async () => {
      const wanted = bench.payment('waits', { capture: false })
      const made = await provider.create(wanted, call())
      await bench.pays(made.id)
      const notification = bench.notification(made.id, 'evt_1')
      const event = await provider.verify(notification, signal)
      expect(event).toMatchObject({
        payment: { id: made.id, status: 'authorized', paymentId: wanted.paymentId },
      })
      expect(await provider.verify(notification, signal)).toMatchObject({ id: event.id, type: event.type })
      await provider.capture(change(made, wanted.amount), call())
      const later = await provider.verify(notification, signal)
      expect(later).toMatchObject({ payment: { status: 'succeeded' } })
    })

    test('that is forged is refused', async () => {
      const made = await provider.create(bench.payment('waits'), call())
      for (const forged of bench.forged(made.id)) {
        expect(await thrownBy(provider.verify(forged, signal)), forged.body).toBeInstanceOf(
          UnrecoverableError,
        )
      }
    })
  })
})
