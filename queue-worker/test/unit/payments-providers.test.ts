/** What providers say, and what is made of it: failures, states, amounts. The pure part of payments. */
import { describe, expect, test } from 'vitest'
import { OutageError, UncertainEffectError, UnrecoverableError } from '../../src/errors.ts'
import { KeySpentError } from '../../src/services/payments/contract.ts'
import { providerFailure } from '../../src/services/payments/failures.ts'
import {
  createParams,
  fromStripeAmount,
  intentOf,
  stripePayment,
  stripeRefund,
  toStripeAmount,
} from '../../src/services/payments/stripe-view.ts'
import {
  isTrue,
  yooAmount,
  yooClaim,
  yooCreate,
  yooPayment,
  yooRefundView,
} from '../../src/services/payments/yookassa-view.ts'

describe('a failed call', () => {
  const failure = (status: number | undefined, movesMoney: boolean, more = {}) =>
    providerFailure('Acme', { status, said: 'so', cause: undefined, ...more }, movesMoney, 1_000_000)

  test.each([
    [undefined, UncertainEffectError],
    [500, UncertainEffectError],
    [503, UncertainEffectError],
    [408, UncertainEffectError],
    [409, UncertainEffectError],
    [429, OutageError],
    [401, OutageError],
    [400, UnrecoverableError],
    [402, UnrecoverableError],
    [404, UnrecoverableError],
  ] as const)('%s that would have moved money', (status, expected) => {
    expect(failure(status, true)).toBeInstanceOf(expected)
  })

  test.each([500, 408, 409, 403])('%s of a question is tried again', (status) => {
    const error = failure(status, false)
    for (const other of [UnrecoverableError, UncertainEffectError, OutageError])
      expect(error).not.toBeInstanceOf(other)
  })

  test.each([undefined, 429, 401, 502, 503, 504])('%s of a question is an outage', (status) => {
    expect(failure(status, false)).toBeInstanceOf(OutageError)
  })

  test('a connection that did not come about has moved no money; one that broke may have', () => {
    const refused = Object.assign(new Error('connect'), { code: 'ECONNREFUSED' })
    const wrapped = [refused, new TypeError('fetch failed', { cause: refused }), { detail: refused }]
    for (const cause of wrapped) expect(failure(undefined, true, { cause })).toBeInstanceOf(OutageError)
    const reset = Object.assign(new Error('read'), { code: 'ECONNRESET' })
    expect(failure(undefined, true, { cause: reset })).toBeInstanceOf(UncertainEffectError)
  })

  test('money that may have moved at a provider that is down is both: not known, and an outage', () => {
    const error = failure(503, true, { retryAfter: '9' })
    expect(error).toBeInstanceOf(UncertainEffectError)
    expect(error.cause).toBeInstanceOf(OutageError)
    expect(error.cause).toMatchObject({ retryAfterSeconds: 9 })
    expect(failure(500, true).cause).not.toBeInstanceOf(OutageError)
  })

  test('a failure that is kept for its key says so, a success that is kept is none', () => {
    expect(failure(500, true, { isReplayed: true })).toBeInstanceOf(KeySpentError)
    expect(failure(undefined, true, { isReplayed: true })).not.toBeInstanceOf(KeySpentError)
  })

  test.each([
    ['7', 7],
    ['0', 0],
    ['999999', 3600],
    [new Date(1_005_000).toUTCString(), 5],
    ['nonsense', undefined],
    [null, undefined],
  ])('Retry-After %s is %s s', (retryAfter, retryAfterSeconds) => {
    expect(failure(429, true, { retryAfter })).toMatchObject({ retryAfterSeconds })
  })
})

describe('Stripe', () => {
  const intent = (more: object) =>
    ({
      ...{
        id: 'pi_1',
        status: 'succeeded',
        currency: 'eur',
        amount: 100,
        amount_received: 100,
        metadata: {},
      },
      ...{ next_action: null, last_payment_error: null, client_secret: 'secret' },
      ...more,
    }) as never
  const refused = { type: 'card_error', code: 'card_declined', decline_code: 'lost_card', message: 'No.' }

  test.each([
    ['requires_payment_method', {}, 'pending'],
    ['requires_confirmation', {}, 'pending'],
    ['requires_action', {}, 'pending'],
    ['processing', {}, 'pending'],
    ['requires_capture', {}, 'authorized'],
    ['succeeded', {}, 'succeeded'],
    ['canceled', {}, 'canceled'],
    ['canceled', { last_payment_error: refused }, 'canceled'],
    ['canceled', { last_payment_error: refused, metadata: { confirmed_by_worker: 'yes' } }, 'failed'],
    ['requires_payment_method', { last_payment_error: refused }, 'pending'],
    [
      'requires_payment_method',
      { last_payment_error: refused, metadata: { confirmed_by_worker: 'yes' } },
      'failed',
    ],
  ])('%s %j is %s', (status, more, expected) => {
    expect(stripePayment(intent({ status, ...more }), 0).status).toBe(expected)
  })

  test('is open where it is refused for good and not canceled', () => {
    const metadata = { confirmed_by_worker: 'yes' }
    const isOpen = (more: object) => stripePayment(intent({ metadata, ...more }), 0).isOpen ?? false
    expect(isOpen({ status: 'requires_payment_method', last_payment_error: refused })).toBe(true)
    expect(isOpen({ status: 'canceled', last_payment_error: refused })).toBe(false)
    expect(isOpen({ status: 'requires_payment_method', last_payment_error: refused, metadata: {} })).toBe(
      false,
    )
    expect(isOpen({ status: 'succeeded' })).toBe(false)
  })

  test('says why it was refused, and gives the secret of a page only where there is a page', () => {
    const open = stripePayment(intent({ status: 'requires_payment_method', last_payment_error: refused }), 0)
    expect(open).toMatchObject({ error: 'lost_card: No.', clientSecret: 'secret' })
    expect(
      stripePayment(intent({ metadata: { confirmed_by_worker: 'yes' } }), 0).clientSecret,
    ).toBeUndefined()
    expect(
      stripePayment(intent({ metadata: { payment_id: 'somebody else’s' } }), 0).paymentId,
    ).toBeUndefined()
  })

  test.each([
    ['EUR', 1999n, 1999],
    ['JPY', 500n, 500],
    ['KWD', 12340n, 12340],
    ['ISK', 500n, 50000],
    ['UGX', 7n, 700],
    ['MGA', 500n, 5],
  ])('%s %i is %i there, and back', (currency, minor, amount) => {
    expect(toStripeAmount(minor, currency)).toBe(amount)
    expect(fromStripeAmount(amount, currency.toLowerCase())).toBe(minor)
  })

  test('refuses what it cannot express', () => {
    expect(() => toStripeAmount(501n, 'MGA')).toThrow(UnrecoverableError)
    expect(() => toStripeAmount(2n ** 60n, 'EUR')).toThrow(UnrecoverableError)
  })

  test.each([
    ['a page', {}, { confirm: undefined, return_url: undefined, off_session: undefined }],
    ['a card', { paymentMethod: 'pm_1' }, { confirm: true, off_session: true, payment_method: 'pm_1' }],
    [
      'a card with the customer there',
      { paymentMethod: 'pm_1', returnUrl: 'https://a.example' },
      { confirm: true, return_url: 'https://a.example', off_session: undefined },
    ],
  ])('is asked for %s', (_what, more, expected) => {
    const params = createParams({
      paymentId: 'p',
      amount: 5n,
      currency: 'EUR',
      capture: false,
      metadata: {},
      ...more,
    })
    expect({ ...params }).toMatchObject({ amount: 5, currency: 'eur', capture_method: 'manual' })
    for (const [key, value] of Object.entries(expected)) expect(Reflect.get(params, key), key).toBe(value)
  })

  test('events are about payments, charges and refunds, and about nothing else', () => {
    expect(intentOf({ object: 'payment_intent', id: 'pi_1' })).toBe('pi_1')
    for (const object of ['charge', 'refund'])
      expect(intentOf({ object, payment_intent: 'pi_1' })).toBe('pi_1')
    for (const other of [
      { object: 'customer', id: 'c' },
      { object: 'charge', payment_intent: null },
      null,
      'x',
    ]) {
      expect(intentOf(other)).toBeUndefined()
    }
  })

  test.each([
    ['succeeded', 'succeeded'],
    ['pending', 'pending'],
    ['requires_action', 'pending'],
    ['failed', 'failed'],
    ['canceled', 'failed'],
  ])('a refund that is %s is %s', (status, expected) => {
    expect(stripeRefund({ id: 're_1', status } as never).status).toBe(expected)
  })
})

describe('YooKassa', () => {
  const rub = (value: string) => ({ value, currency: 'RUB' })
  test.each([
    ['pending', undefined, 'pending'],
    ['waiting_for_capture', undefined, 'authorized'],
    ['succeeded', undefined, 'succeeded'],
    ['canceled', 'canceled_by_merchant', 'canceled'],
    ['canceled', 'expired_on_confirmation', 'canceled'],
    ['canceled', 'expired_on_capture', 'canceled'],
    ['canceled', 'insufficient_funds', 'failed'],
    ['canceled', 'fraud_suspected', 'failed'],
    ['canceled', '3d_secure_failed', 'failed'],
  ])('%s for reason %s is %s', (status, reason, expected) => {
    const shown = yooPayment({ id: 'y', status, amount: rub('10.00'), cancellation_details: { reason } })
    expect(shown).toMatchObject({ status: expected, captured: expected === 'succeeded' ? 1000n : 0n })
    expect(shown.error).toBe(expected === 'failed' ? reason : undefined)
  })

  test('a state that nobody knows is no guess', () => {
    expect(() => yooPayment({ id: 'y', status: 'new_one', amount: rub('1.00') })).toThrow('new_one')
  })

  test('amounts are exact', () => {
    expect(yooAmount({ amount: 9007199254740993n, currency: 'RUB' })).toEqual(rub('90071992547409.93'))
    const shown = {
      id: 'y',
      status: 'succeeded',
      amount: rub('90071992547409.93'),
      refunded_amount: rub('0.01'),
    }
    expect(yooPayment(shown)).toMatchObject({ captured: 9007199254740993n, refunded: 1n })
  })

  test('is asked for a page, or for a saved way to pay', () => {
    const wanted = {
      paymentId: 'p',
      amount: 5n,
      currency: 'RUB',
      capture: true,
      metadata: {},
      returnUrl: 'https://a.example',
    }
    expect(yooCreate(wanted)).toMatchObject({
      confirmation: { type: 'redirect', return_url: 'https://a.example' },
    })
    const saved = yooCreate({ ...wanted, paymentMethod: 'm', receipt: { items: [] } })
    expect(saved).toMatchObject({
      payment_method_id: 'm',
      receipt: { items: [] },
      metadata: { payment_id: 'p' },
    })
    expect(saved).not.toHaveProperty('confirmation')
  })

  test.each([
    '{',
    '{}',
    '[]',
    'null',
    '{"type": "notification", "event": "payment.succeeded", "object": {"id": "../x"}}',
  ])('%s is no notification', (body) => expect(() => yooClaim(body)).toThrow(UnrecoverableError))

  const claim = (event: string) =>
    yooClaim(JSON.stringify({ type: 'notification', event, object: { id: 'y-1' } }))
  test.each([
    ['payment.waiting_for_capture', 'payment'],
    ['payment.succeeded', 'payment'],
    ['payment.canceled', 'payment'],
    ['refund.succeeded', 'refund'],
    ['payout.succeeded', null],
    ['payment_method.active', null],
    ['deal.closed', null],
  ])('%s is about: %s', (event, about) => expect(claim(event)).toEqual({ event, id: 'y-1', about }))

  test.each([
    ...[
      'payment.succeeded.again',
      'payment.',
      'payment',
      '.succeeded',
      'payment.pending',
      'payment.Succeeded',
    ],
    ...['refund.canceled', 'payment.constructor', ' payment.succeeded', `payment.${'x'.repeat(200)}`, ''],
  ])('%j is no event of YooKassa’s', (event) => expect(() => claim(event)).toThrow(UnrecoverableError))

  test.each([
    ['payment.succeeded', 'succeeded', true],
    ['payment.succeeded', 'pending', false],
    ['payment.succeeded', 'waiting_for_capture', false],
    ['payment.succeeded', 'canceled', false],
    ['payment.canceled', 'succeeded', false],
    ['payment.canceled', 'canceled', true],
    ['payment.waiting_for_capture', 'succeeded', true],
    ['payment.waiting_for_capture', 'canceled', true],
    ['payment.waiting_for_capture', 'pending', false],
    ['refund.succeeded', 'succeeded', true],
    ['refund.succeeded', 'pending', false],
    ['refund.succeeded', 'canceled', false],
    ['payment.unknown', 'succeeded', false],
  ])('%s of a payment that is shown as %s: %s', (event, status, expected) => {
    expect(isTrue({ event }, { status })).toBe(expected)
  })

  test('a refund that was refused says why', () => {
    const refused = { id: 'r', status: 'canceled', cancellation_details: { reason: 'insufficient_funds' } }
    expect(yooRefundView(refused)).toEqual({ id: 'r', status: 'failed', error: 'insufficient_funds' })
  })
})
