/** Payments with the sandbox, from the message to the row and the follow-up, over both transports. */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Transport } from '../../src/library.ts'
import { sandboxProvider } from '../../src/services/payments/sandbox.ts'
import { openPayments, type PaymentsBench } from '../support/payments.ts'
import { losingAnswers } from '../support/transports.ts'
import { until } from '../support/worker.ts'

describe.each(['rpc', 'postgres'] as const)('over %s', (kind: Transport['kind']) => {
  let bench: PaymentsBench
  beforeAll(async () => {
    bench = await openPayments(kind)
  })
  afterAll(() => bench.close())

  const working = (run: () => Promise<void>, settings = {}) =>
    bench.work(
      { providers: [sandboxProvider(bench.transport.call)], defaultProvider: 'sandbox' },
      run,
      settings,
    )
  const ended = (...messages: readonly object[]) =>
    working(async () => {
      await bench.send(...messages)
      await bench.done()
    })
  const charges = async (id: string) =>
    await bench.sql`select status, captured_amount::int as captured, refunded_amount::int as refunded
      from queue_worker.sandbox_payments where payment_id = ${id}`
  const fresh = (amount: number | string, more: object = {}) => ({
    operation: 'create',
    payment_id: randomUUID(),
    amount,
    currency: 'EUR',
    ...more,
  })
  const deadAbout = async (text: string) => (await bench.dead()).filter((error) => error.includes(text))

  test('a payment is made, and the follow-up tells it', async () => {
    const create = fresh(1999, { reference: 'order-17', notify: bench.next, metadata: { order: '17' } })
    await ended(create)
    const row = await bench.payment(create.payment_id)
    expect(row).toMatchObject({
      ...{ status: 'succeeded', amount: '1999', captured_amount: '1999', refunded_amount: '0', exponent: 2 },
      ...{ provider: 'sandbox', provider_id: expect.stringMatching(/^sandbox_/), reference: 'order-17' },
    })
    const told = (await bench.told()).filter((message) => message.payment_id === create.payment_id)
    expect(told).toEqual([
      {
        ...{ payment_id: create.payment_id, reference: 'order-17', provider: 'sandbox', status: 'succeeded' },
        ...{ previous_status: 'new', amount: '1999', captured_amount: '1999', refunded_amount: '0' },
        ...{ currency: 'EUR', confirmation_url: null, error: null },
      },
    ])
  })

  test('a row that was made with the order needs but its id', async () => {
    const [row] =
      await bench.sql`insert into public.payments (amount, currency, capture) values (9007199254740993, 'JPY', false)
      returning id`
    await ended({ operation: 'create', payment_id: row?.id })
    expect(await bench.payment(row?.id)).toMatchObject({
      status: 'authorized',
      amount: '9007199254740993',
      exponent: 0,
    })
  })

  test('without an id the message is the payment', async () => {
    await ended({ operation: 'create', amount: 777, currency: 'EUR', reference: `own-${bench.queue}` })
    const rows = await bench.sql`select status from public.payments where reference = ${`own-${bench.queue}`}`
    expect(rows).toEqual([{ status: 'succeeded' }])
  })

  test('what is held is captured in part, refunded in two parts, and then nothing is left', async () => {
    const create = fresh(5000, { capture: false, notify: bench.next })
    const { payment_id } = create
    await ended(create)
    await ended({ operation: 'capture', payment_id, amount: 3000 })
    await ended({ operation: 'refund', payment_id, amount: 1000 })
    await ended({ operation: 'refund', payment_id, amount: '500' })
    expect(await bench.payment(payment_id)).toMatchObject({
      status: 'partially_refunded',
      refunded_amount: '1500',
    })
    await ended({ operation: 'refund', payment_id })
    expect(await bench.payment(payment_id)).toMatchObject({
      status: 'refunded',
      captured_amount: '3000',
      refunded_amount: '3000',
    })
    await ended({ operation: 'refund', payment_id, amount: 1 })
    expect(await deadAbout(payment_id)).toEqual([expect.stringContaining('is refunded: it cannot refund')])
    expect(await charges(payment_id)).toEqual([{ status: 'succeeded', captured: 3000, refunded: 3000 }])
    const told = (await bench.told()).filter((message) => message.payment_id === payment_id)
    expect(told.map(({ previous_status, status }) => `${previous_status} ${status}`)).toEqual([
      ...['new authorized', 'authorized succeeded', 'succeeded partially_refunded'],
      ...['partially_refunded partially_refunded', 'partially_refunded refunded'],
    ])
  })

  test('what is held is canceled, and then it cannot be captured', async () => {
    const create = fresh(5001, { capture: false })
    const { payment_id } = create
    await ended(create)
    await ended({ operation: 'cancel', payment_id })
    await ended({ operation: 'cancel', payment_id }, { operation: 'capture', payment_id })
    expect(await bench.payment(payment_id)).toMatchObject({ status: 'canceled', captured_amount: '0' })
    expect(await deadAbout(payment_id)).toEqual([expect.stringContaining('is canceled: it cannot capture')])
  })

  test('a declined card is a result: the row says failed and why, and the message succeeds', async () => {
    const create = fresh(4001, { notify: bench.next })
    await ended(create)
    const row = await bench.payment(create.payment_id)
    expect(row).toMatchObject({ status: 'failed', last_error: expect.stringContaining('card_declined') })
    expect(await deadAbout(create.payment_id)).toEqual([])
    const told = (await bench.told()).filter((message) => message.payment_id === create.payment_id)
    expect(told).toMatchObject([{ status: 'failed', error: row.last_error }])
  })

  test('a refund that is declined leaves the payment as it was, with the error', async () => {
    const create = fresh(9000)
    const { payment_id } = create
    await ended(create)
    await ended({ operation: 'refund', payment_id, amount: 4001 })
    const row = {
      status: 'succeeded',
      refunded_amount: '0',
      last_error: expect.stringContaining('declines this refund'),
    }
    expect(await bench.payment(payment_id)).toMatchObject(row)
  })

  test.each([
    [4008, 'an answer is lost after the charge'],
    [4029, 'too many requests'],
    [4500, 'the provider is out of order'],
  ])('%i: %s, and the payment is made once all the same', async (amount) => {
    const create = fresh(amount)
    await ended(create)
    expect(await bench.payment(create.payment_id)).toMatchObject({ status: 'succeeded' })
    expect(await charges(create.payment_id)).toHaveLength(1)
    expect(await deadAbout(create.payment_id)).toEqual([])
  })

  test('the same create message twice, and another for the same payment, charge once', async () => {
    const create = fresh(1200)
    await ended(create, create, { ...create, reference: 'again' })
    expect(await charges(create.payment_id)).toHaveLength(1)
    expect(await deadAbout(create.payment_id)).toEqual([])
  })

  test('a message for a payment that is not there yet waits for it', async () => {
    const create = fresh(1300, { capture: false })
    await working(
      async () => {
        await bench.send({ operation: 'capture', payment_id: create.payment_id })
        await until('it was tried', async () => (await bench.look.outcomes(bench.queue)).length > 0)
        await bench.send(create)
        await bench.done()
      },
      { maxAttempts: 100 },
    )
    expect(await bench.payment(create.payment_id)).toMatchObject({
      status: 'succeeded',
      captured_amount: '1300',
    })
  })

  test('every answer of the database is lost once: still one charge, one refund, one follow-up each', async () => {
    const create = fresh(2500, { notify: bench.next })
    const { payment_id } = create
    const lossy = losingAnswers(bench.transport)
    const options = { providers: [sandboxProvider(lossy.call)], defaultProvider: 'sandbox' } as const
    for (const message of [create, { operation: 'refund', payment_id, amount: 500 }]) {
      await bench.work(
        { ...options, database: lossy.call },
        async () => {
          await bench.send(message)
          await bench.done()
        },
        { maxAttempts: 50 },
      )
    }
    expect(lossy.lost).toEqual(
      expect.arrayContaining(['payment_begin', 'payment_call', 'payment_apply', 'sandbox']),
    )
    expect(await charges(payment_id)).toEqual([{ status: 'succeeded', captured: 2500, refunded: 500 }])
    expect(await bench.payment(payment_id)).toMatchObject({
      status: 'partially_refunded',
      refunded_amount: '500',
    })
    const told = (await bench.told()).filter((message) => message.payment_id === payment_id)
    expect(told.map(({ status }) => status)).toEqual(['succeeded', 'partially_refunded'])
  })

  describe('a notification', () => {
    const notification = (event: string, payment: unknown) => ({
      operation: 'notification',
      provider: 'sandbox',
      payload: JSON.stringify({ event, type: 'payment.changed', payment }),
    })
    const pay = (id: unknown) =>
      bench.sql`select public.queue_worker_sandbox(${bench.sql.json({ protocol: 2, operation: 'pay', id: `${id}` })}::jsonb)`

    test('of a customer who has paid, twice: counts once', async () => {
      const create = fresh(4002, { return_url: 'https://shop.example/thanks', notify: bench.next })
      const { payment_id } = create
      await ended(create)
      const row = await bench.payment(payment_id)
      expect(row).toMatchObject({
        status: 'pending',
        confirmation_url: expect.stringContaining('https://shop.example/thanks'),
      })
      await pay(row.provider_id)
      const event = `evt-${payment_id}`
      await ended(notification(event, row.provider_id), notification(event, row.provider_id))
      expect(await bench.payment(payment_id)).toMatchObject({ status: 'succeeded', captured_amount: '4002' })
      const told = (await bench.told()).filter((message) => message.payment_id === payment_id)
      expect(told.map(({ status }) => status)).toEqual(['pending', 'succeeded'])
      expect(await bench.events(payment_id)).toMatchObject([
        { type: 'create', outcome: 'applied', status_before: 'new', status_after: 'pending' },
        { type: 'payment.changed', outcome: 'applied', status_before: 'pending', status_after: 'succeeded' },
      ])
    })

    test('that is forged changes nothing and becomes a dead letter; one about nobody of ours is ignored', async () => {
      const create = fresh(4002)
      await ended(create)
      const { provider_id } = await bench.payment(create.payment_id)
      const before = (await bench.dead()).length
      await ended(
        notification(`forged-${create.payment_id}`, provider_id),
        notification('forged', 'sandbox_of_nobody'),
        { operation: 'notification', provider: 'sandbox', payload: 'nonsense' },
      )
      expect(await bench.payment(create.payment_id)).toMatchObject({ status: 'pending' })
      expect((await bench.dead()).length - before).toBe(2)
    })
  })

  test('sync takes over what the provider shows', async () => {
    const create = fresh(4002)
    const { payment_id } = create
    await ended(create)
    await bench.sql`update queue_worker.sandbox_payments set status = 'succeeded', captured_amount = 4002 where payment_id = ${payment_id}`
    await ended({ operation: 'sync', payment_id })
    expect(await bench.payment(payment_id)).toMatchObject({ status: 'succeeded', captured_amount: '4002' })
  })

  test('a provider without keys and a contradiction are dead letters that say what to do', async () => {
    const [stripe, other] = [fresh(1, { provider: 'stripe' }), fresh(2)]
    await ended(stripe, other)
    await ended({ ...other, amount: 3 })
    const errors = await bench.dead()
    expect(errors.filter((error) => error.includes('stripe is not set up'))).toHaveLength(1)
    expect(errors.filter((error) => error.includes('the message says 3 EUR'))).toHaveLength(1)
  })
})
