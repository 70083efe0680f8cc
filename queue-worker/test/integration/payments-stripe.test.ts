/** Payments that Stripe has in a state of its own making: refused and still open, given up after a refusal, made by somebody else. */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { stripeProvider } from '../../src/services/payments/stripe.ts'
import { openPayments, type PaymentsBench } from '../support/payments.ts'
import {
  CARDS,
  STRIPE_KEY,
  STRIPE_WEBHOOK_SECRET,
  type StripeServer,
  startStripe,
} from '../support/stripe-server.ts'

describe.each(['rpc', 'postgres'] as const)('over %s', (kind) => {
  let bench: PaymentsBench
  let stripe: StripeServer
  beforeAll(async () => {
    bench = await openPayments(kind)
    stripe = await startStripe()
  })
  beforeEach(() => {
    stripe.faults.length = 0
    stripe.onDone = () => {}
  })
  afterAll(() => Promise.all([bench.close(), stripe.stop()]))

  const provider = () =>
    stripeProvider({ key: STRIPE_KEY, webhookSecret: STRIPE_WEBHOOK_SECRET, url: stripe.url })
  const ended = (...messages: readonly object[]) =>
    bench.work({ providers: [provider()], defaultProvider: 'stripe' }, async () => {
      await bench.send(...messages)
      await bench.done()
    })
  const fresh = (more: object = {}) => ({
    ...{
      operation: 'create',
      payment_id: randomUUID(),
      amount: 1999,
      currency: 'EUR',
      payment_method: CARDS.good,
    },
    ...more,
  })
  const atStripe = (id: string) =>
    [...stripe.intents.values()].filter(({ metadata }) => metadata.payment_id === id)
  const deadAbout = async (text: string) => (await bench.dead()).filter((error) => error.includes(text))
  /** What a customer at the page tries with a card that is declined. */
  const refuse = (id: string) => {
    for (const intent of atStripe(id)) {
      intent.last_payment_error = {
        type: 'card_error',
        code: 'card_declined',
        message: 'Your card was declined.',
      }
      intent.status = 'requires_payment_method'
    }
  }

  describe('a declined payment is closed at Stripe', () => {
    test.each(['fails', 'cut', 'cut_late'] as const)(
      'also when closing it %s the first time',
      async (fault) => {
        const create = fresh({ payment_method: CARDS.declined })
        stripe.onDone = ({ path }) => {
          if (path === '/v1/payment_intents') stripe.faults.push(fault)
        }
        await ended(create)
        expect(atStripe(create.payment_id)).toMatchObject([{ status: 'canceled' }])
        expect(await bench.payment(create.payment_id)).toMatchObject({
          ...{ status: 'failed', last_error: expect.stringContaining('generic_decline') },
        })
        expect(await deadAbout(create.payment_id)).toEqual([])
      },
    )

    test('by whoever hears of it: a notification, sync', async () => {
      const [heard, asked] = [
        fresh({ payment_method: CARDS.asksTheCustomer }),
        fresh({ payment_method: CARDS.asksTheCustomer }),
      ]
      await ended(heard, asked)
      for (const { payment_id } of [heard, asked]) refuse(payment_id)
      const [intent] = atStripe(heard.payment_id)
      const { body, signature } = stripe.event(`evt_${intent?.id}`, 'payment_intent.payment_failed', intent)
      await ended(
        { operation: 'notification', provider: 'stripe', payload: body, signature },
        { operation: 'sync', payment_id: asked.payment_id },
      )
      for (const { payment_id } of [heard, asked]) {
        expect(atStripe(payment_id)).toMatchObject([{ status: 'canceled' }])
        expect(await bench.payment(payment_id)).toMatchObject({ status: 'failed' })
      }
    })

    test('and when another message was quicker, that is as good', async () => {
      const create = fresh({ payment_method: CARDS.declined })
      stripe.onDone = ({ path }) => {
        if (path !== '/v1/payment_intents') return
        // As another worker does that has heard the notification meanwhile.
        for (const intent of atStripe(create.payment_id)) intent.status = 'canceled'
      }
      await ended(create)
      expect(await bench.payment(create.payment_id)).toMatchObject({ status: 'failed' })
      expect(await deadAbout(create.payment_id)).toEqual([])
    })
  })

  test('refused once at a page, then canceled by us: it is canceled, and a cancel that comes again has nothing to do', async () => {
    const create = fresh({ payment_method: null, return_url: 'https://shop.example/thanks' })
    const { payment_id } = create
    await ended(create)
    refuse(payment_id)
    stripe.faults.push('cut_late') // done, and nobody heard of it
    await ended({ operation: 'cancel', payment_id })
    await ended({ operation: 'cancel', payment_id })
    expect(atStripe(payment_id)).toMatchObject([{ status: 'canceled' }])
    expect(await bench.payment(payment_id)).toMatchObject({ status: 'canceled' })
    expect(await deadAbout(payment_id)).toEqual([])
  })

  describe('a payment of another amount that has our id in its metadata', () => {
    const call = { key: randomUUID(), signal: new AbortController().signal }
    const foreign = (paymentId: string, more: object) =>
      provider().create(
        {
          ...{
            paymentId,
            amount: 5n,
            currency: 'EUR',
            capture: true,
            metadata: {},
            paymentMethod: CARDS.good,
          },
          ...more,
        },
        { ...call, key: randomUUID() },
      )
    /** As after a create whose answer was lost. */
    const asked = (id: string) =>
      bench.sql`insert into queue_worker.payment_calls (payment_id, call, origin_key, asked_at)
        values (${id}, 'create', 'lost', now() - interval '1 minute')`
    const row = async () => {
      const [made] =
        await bench.sql`insert into public.payments (amount, currency) values (1999, 'EUR') returning id`
      return `${made?.id}`
    }

    test.each([
      ['amount', { amount: 1n }, /is about 1999 EUR \(minor units\), but pi_\w+ at stripe is about 1 EUR/],
      ['currency', { amount: 1999n, currency: 'USD' }, /but pi_\w+ at stripe is about 1999 USD/],
    ])('(%s) is not taken for it: by create, sync and a notification', async (_what, more, expected) => {
      for (const operation of ['create', 'sync', 'notification']) {
        const id = await row()
        await asked(id)
        const { id: intent } = await foreign(id, more)
        const { body, signature } = stripe.event(
          `evt_${id}`,
          'payment_intent.succeeded',
          stripe.intents.get(intent),
        )
        await ended(
          operation === 'notification'
            ? { operation, provider: 'stripe', payload: body, signature }
            : { operation, payment_id: id },
        )
        expect(await deadAbout(id), operation).toEqual([expect.stringMatching(expected)])
        expect(await bench.payment(id)).toMatchObject({
          status: 'new',
          provider_id: null,
          captured_amount: '0',
        })
        expect(await bench.events(id)).toEqual([])
      }
    })

    test('is out of the way once it is canceled there and the message redriven', async () => {
      const id = await row()
      await asked(id)
      const { id: intent } = await foreign(id, { amount: 1n })
      const create = { operation: 'create', payment_id: id, payment_method: CARDS.good }
      await ended(create)
      stripe.intents.delete(intent)
      const [letter] = (await bench.look.deadLetters(bench.queue)).slice(-1)
      await bench.work({ providers: [provider()], defaultProvider: 'stripe' }, async () => {
        await bench.transport.call('redrive', {
          protocol: 2,
          queue: bench.queue,
          msg_ids: [`${letter?.msg_id}`],
        })
        await bench.done()
      })
      expect(await bench.payment(id)).toMatchObject({ status: 'succeeded', captured_amount: '1999' })
    })
  })

  test('what was asked for a week ago is looked for then and now, and not in all the days between', async () => {
    const create = fresh()
    const { payment_id } = create
    await bench.sql`insert into public.payments (id, amount, currency) values (${payment_id}, 1999, 'EUR')`
    await bench.sql`insert into queue_worker.payment_calls (payment_id, call, origin_key, asked_at, windows)
      select ${payment_id}, 'create', 'lost', now() - interval '7 days', tstzmultirange(tstzrange(lower(w) - interval '7 days', upper(w) - interval '7 days'))
      from unnest(queue_worker.call_window()) w`
    const before = stripe.requests.length
    stripe.faults.push('cut_late')
    await ended(create)
    const searched = stripe.requests
      .slice(before)
      .filter(({ method, path }) => method === 'GET' && path === '/v1/payment_intents')
      .map(({ query }) => [Number(query.get('created[gte]')), Number(query.get('created[lte]'))] as const)
    const weekAgo = Date.now() / 1000 - 7 * 86_400
    for (const [from, to] of searched) expect(to - from).toBeLessThan(3600)
    expect(searched.some(([from, to]) => from < weekAgo && weekAgo < to)).toBe(true)
    expect(searched.some(([, to]) => to > Date.now() / 1000)).toBe(true)
    expect(stripe.charges(payment_id)).toBe(1)
    expect(await bench.payment(payment_id)).toMatchObject({ status: 'succeeded' })
  })
})
