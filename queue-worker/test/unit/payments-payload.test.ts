/** What a message of the payments queue may say, and how its amounts are read. */
import { describe, expect, test } from 'vitest'
import { paymentsPayload } from '../../src/processors/payments-payload.ts'
import { CURRENCIES, currencyExponent, fromDecimal, toDecimal } from '../../src/utils/currency.ts'

const ID = '6a0c1c3e-2a4b-4c57-9d55-3f1d2b0f6a11'
const create = { operation: 'create', amount: 1999, currency: 'EUR' }

describe('accepted', () => {
  test.each([
    create,
    { ...create, amount: '9007199254740993' },
    { operation: 'create', payment_id: ID },
    {
      ...create,
      capture: false,
      metadata: { order: '17' },
      return_url: 'https://a.example/x?y=1',
      notify: 'orders',
    },
    { operation: 'capture', payment_id: ID, amount: 5 },
    { operation: 'cancel', payment_id: ID },
    { operation: 'refund', payment_id: ID },
    { operation: 'sync', payment_id: ID },
    // Whatever PostgreSQL's uuid holds: also the ids that rows get from their message, which are of no version.
    { operation: 'refund', payment_id: 'dcf5a6de-9e0b-03ab-0dfe-f7e47c4d9c7a' },
    { operation: 'notification', provider: 'stripe', payload: '{}', signature: 't=1' },
  ])('%j', (payload) => {
    expect(paymentsPayload.parse(payload)).toMatchObject({ operation: payload.operation })
  })

  test('null counts as absent, and amounts are exact', () => {
    const given = { ...create, amount: '9007199254740993', description: null, metadata: null, notify: null }
    expect(paymentsPayload.parse(given)).toEqual({ ...create, amount: 9007199254740993n })
  })
})

describe('refused', () => {
  test.each([
    [{ ...create, amount: 19.99 }, 'amount', 'whole number of minor units'],
    [{ ...create, amount: 0 }, 'amount', 'above 0'],
    [{ ...create, amount: '1e5' }, 'amount', 'string of digits'],
    [{ ...create, amount: '0100' }, 'amount', 'string of digits'],
    [{ ...create, currency: 'eur' }, 'currency', 'ISO 4217'],
    [{ ...create, currency: 'XXX' }, 'currency', 'ISO 4217'],
    [{ operation: 'create' }, 'amount', 'is missing'],
    [{ operation: 'create', amount: 5 }, 'currency', 'together'],
    [{ ...create, return_url: 'javascript:alert(1)' }, 'return_url', 'http(s)'],
    [{ ...create, metadata: { payment_id: 'x' } }, 'metadata', 'is not payment_id'],
    [{ ...create, metadata: { confirmed_by_worker: 'x' } }, 'metadata', 'confirmed_by_worker'],
    [{ ...create, provider: 'paypal' }, 'provider', 'sandbox, stripe, yookassa'],
    [{ ...create, notify: 'No Queue' }, 'notify', 'no queue name'],
    [{ ...create, amonut: 5 }, '', 'unknown key "amonut" in create'],
    [{ operation: 'capture' }, 'payment_id', 'must be a UUID'],
    [{ operation: 'refund', payment_id: '17' }, 'payment_id', 'must be a UUID'],
    [{ operation: 'pay' }, 'operation', 'create, capture'],
    ['nonsense', '', 'JSON object'],
  ])('%j', (payload, path, says) => {
    const { error } = paymentsPayload.safeParse(payload)
    const found = error?.issues.map((issue) => [issue.path[0] ?? '', issue.message])
    expect(found).toContainEqual([path, expect.stringContaining(says)])
  })
})

describe('amounts', () => {
  test.each([
    [1n, 2, '0.01'],
    [1999n, 2, '19.99'],
    [500n, 0, '500'],
    [1234n, 3, '1.234'],
    [9007199254740993n, 2, '90071992547409.93'],
  ])('%i with exponent %i is %s, and back', (minor, exponent, text) => {
    expect(toDecimal(minor, exponent)).toBe(text)
    expect(fromDecimal(text, exponent)).toBe(minor)
  })

  test.each(['', '1,5', '-1', '1.999', '1e3', '.5'])('"%s" is no amount', (text) => {
    expect(() => fromDecimal(text, 2)).toThrow(RangeError)
  })

  test('every currency has its exponent', () => {
    expect(CURRENCIES.length).toBeGreaterThan(160)
    expect(['JPY', 'EUR', 'KWD', 'CLF', 'XYZ'].map(currencyExponent)).toEqual([0, 2, 3, 4, undefined])
  })
})
