/** Payments with Stripe and YooKassa, local servers in their place, from the message to the row: what can go wrong on the way. */
import { randomUUID } from 'node:crypto'
import postgres, { type TransactionSql } from 'postgres'
import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest'
import type { PaymentProvider } from '../../src/services/payments/contract.ts'
import { stripeProvider } from '../../src/services/payments/stripe.ts'
import { yookassaProvider } from '../../src/services/payments/yookassa.ts'
import type { FakeApi, Fault } from '../support/fake-api.ts'
import { openPayments, type PaymentsBench } from '../support/payments.ts'
import {
  CARDS,
  STRIPE_KEY,
  STRIPE_WEBHOOK_SECRET,
  type StripeServer,
  startStripe,
} from '../support/stripe-server.ts'
import {
  METHODS,
  startYookassa,
  YOOKASSA_KEY,
  YOOKASSA_SHOP,
  type YookassaServer,
} from '../support/yookassa-server.ts'

type Side = {
  readonly server: FakeApi & Pick<StripeServer, 'charges' | 'pay'>
  readonly provider: PaymentProvider
  readonly methods: { readonly good: string; readonly declined: string }
  refunds(): number
  /** The messages that an endpoint would make of two genuine events about this payment: what it was first, and what it became. */
  events(id: string): { readonly first: object; readonly later: object; readonly forged: object }
}

let stripe: StripeServer
let yookassa: YookassaServer
beforeAll(async () => {
  stripe = await startStripe()
  yookassa = await startYookassa()
})
afterAll(() => Promise.all([stripe.stop(), yookassa.stop()]))

const sides: Readonly<Record<'stripe' | 'yookassa', () => Side>> = {
  stripe: () => ({
    server: stripe,
    provider: stripeProvider({ key: STRIPE_KEY, webhookSecret: STRIPE_WEBHOOK_SECRET, url: stripe.url }),
    methods: CARDS,
    refunds: () => stripe.refunds.size,
    events(id) {
      const event = (type: string, status: string, secret?: string) => {
        const object = { ...stripe.intents.get(id), status }
        const { body, signature } = stripe.event(
          `evt_${type}_${id}`,
          `payment_intent.${type}`,
          object,
          secret,
        )
        return { operation: 'notification', provider: 'stripe', payload: body, signature }
      }
      return {
        first: event('amount_capturable_updated', 'requires_capture'),
        later: event('succeeded', 'succeeded'),
        forged: event('succeeded', 'succeeded', 'whsec_guessed'),
      }
    },
  }),
  yookassa: () => ({
    server: yookassa,
    provider: yookassaProvider({ shopId: YOOKASSA_SHOP, key: YOOKASSA_KEY, url: yookassa.url }),
    methods: METHODS,
    refunds: () => yookassa.refunds.size,
    events(id) {
      const event = (status: string, object: object) => ({
        operation: 'notification',
        provider: 'yookassa',
        payload: yookassa.notification(`payment.${status}`, { ...object, status }),
      })
      return {
        first: event('waiting_for_capture', { id }),
        later: event('succeeded', { id }),
        forged: event('canceled', { id }),
      }
    },
  }),
}

describe.each([
  ['stripe', 'rpc'],
  ['yookassa', 'postgres'],
] as const)('%s over %s', (name, kind) => {
  let bench: PaymentsBench
  let side: Side
  beforeAll(async () => {
    bench = await openPayments(kind)
    side = sides[name]()
  })
  afterAll(() => bench.close())
  beforeEach(() => {
    side.server.faults.length = 0
  })

  const ended = (messages: readonly object[], settings = {}) =>
    bench.work(
      { providers: [side.provider], defaultProvider: name },
      async () => {
        await bench.send(...messages)
        await bench.done()
      },
      settings,
    )
  const fresh = (more: object = {}) => ({
    operation: 'create',
    payment_id: randomUUID(),
    amount: 1999,
    currency: 'EUR',
    payment_method: side.methods.good,
    notify: bench.next,
    ...more,
  })
  /** For a state of the past that nothing leads to. */
  const withoutTriggers = async (change: (tx: TransactionSql) => Promise<unknown>) => {
    const admin = postgres(inject('stack').adminUrl, { max: 1, onnotice: () => {} })
    await admin.begin(async (tx) => {
      await tx`set local session_replication_role = replica`
      await change(tx)
    })
    await admin.end()
  }
  const toldOf = async (id: string) =>
    (await bench.told()).filter(({ payment_id }) => payment_id === id).map(({ status }) => status)
  const dead = async (about: string) => (await bench.dead()).filter((error) => error.includes(about))

  test('holds, captures, refunds', async () => {
    const create = fresh({ capture: false })
    const { payment_id } = create
    await ended([create])
    await ended([{ operation: 'capture', payment_id, amount: 1500 }])
    await ended([{ operation: 'refund', payment_id, amount: 600 }])
    expect(await bench.payment(payment_id)).toMatchObject({
      ...{ status: 'partially_refunded', captured_amount: '1500', refunded_amount: '600', last_error: null },
    })
    expect(await toldOf(payment_id)).toEqual(['authorized', 'succeeded', 'partially_refunded'])
  })

  test('a declined card ends as failed, the message as a success', async () => {
    const create = fresh({ payment_method: side.methods.declined })
    await ended([create])
    const row = { status: 'failed', last_error: expect.stringMatching(/declin|funds/) }
    expect(await bench.payment(create.payment_id)).toMatchObject(row)
    expect(await toldOf(create.payment_id)).toEqual(['failed'])
  })

  test.each<[string, readonly Fault[]]>([
    ['the connection ends before anything is done', ['cut']],
    ['the connection ends when it is done', ['cut_late']],
    ['it fails', ['fails']],
    ['it fails when it is done', ['fails_late']],
    ['everything at once', ['cut', 'fails', 'cut', 'cut_late']],
  ])('%s: charged once, refunded once', async (_what, faults) => {
    const create = fresh()
    const { payment_id } = create
    side.server.faults.push(...faults)
    await ended([create], { maxAttempts: 30 })
    expect(await bench.payment(payment_id)).toMatchObject({ status: 'succeeded', captured_amount: '1999' })
    const before = side.refunds()
    side.server.faults.push(...faults)
    await ended([{ operation: 'refund', payment_id, amount: 500 }], { maxAttempts: 30 })
    expect(await bench.payment(payment_id)).toMatchObject({
      status: 'partially_refunded',
      refunded_amount: '500',
    })
    expect([side.server.charges(payment_id), side.refunds() - before]).toEqual([1, 1])
    expect(await toldOf(payment_id)).toEqual(['succeeded', 'partially_refunded'])
  })

  test('too many requests: all payments wait as long as it says, and none is charged an attempt', async () => {
    const creates = Array.from({ length: 20 }, () => fresh())
    const { look, queue, sql } = bench
    const outcomesOf = async () =>
      (await look.outcomes(queue)).filter(
        ({ error, outcome }) => outcome === 'release' || /429/.test(`${error}`),
      )
    const before = (await outcomesOf()).length
    // More than are asked before the breaker is open.
    side.server.faults.push(...Array<Fault>(8).fill('rate_limited'))
    const asked = side.server.requests.length
    const settings = { concurrency: 4, maxAttempts: 1 }
    const options = { providers: [side.provider], defaultProvider: name }
    const work = async () => {
      await bench.send(...creates)
      const state = async () =>
        (
          await sql`select breaker_reason as reason, extract(epoch from breaker_until - breaker_opened_at)::float8 as seconds
          from queue_worker.queues where queue = ${queue} and breaker_until is not null`
        )[0]
      await expect.poll(state, { timeout: 30_000 }).toBeDefined()
      const open = await state()
      expect(open?.reason).toMatch(/429/)
      // As the header says, and up to a fifth more; not the 50 ms of this queue's backoff.
      expect(open?.seconds).toSatisfy((seconds: number) => seconds >= 7 && seconds <= 8.5)
      await expect.poll(async () => (await outcomesOf()).length, { timeout: 30_000 }).toBeGreaterThan(before)
      expect(side.server.requests.length - asked).toBeLessThanOrEqual(4)
      side.server.faults.length = 0
      await look.pass(queue, 1000)
      await look.expire(queue)
      await bench.done()
    }
    await bench.work(options, work, settings)
    for (const { payment_id } of creates) expect(side.server.charges(payment_id)).toBe(1)
    expect(await dead('429')).toEqual([])
  })

  test('down when it is done: the payment waits, is asked for, charged once, and no attempt is charged', async () => {
    const create = fresh()
    side.server.faults.push('down_late')
    const work = async () => {
      await bench.send(create)
      const { look, queue, typed } = bench
      const breaker = async () => (await typed.counts([queue]))[0]?.breaker?.reason
      await expect.poll(breaker, { timeout: 30_000 }).toMatch(/503/)
      expect(side.server.charges(create.payment_id)).toBe(1)
      await look.pass(queue, 1000)
      await look.expire(queue)
      await bench.done()
      // The next read closes it.
      await expect.poll(breaker, { timeout: 30_000 }).toBeUndefined()
    }
    await bench.work({ providers: [side.provider], defaultProvider: name }, work, { maxAttempts: 1 })
    expect(side.server.charges(create.payment_id)).toBe(1)
    expect(await bench.payment(create.payment_id)).toMatchObject({ status: 'succeeded' })
  })

  test('one of two providers that wants patience holds up its own messages only', async () => {
    const [limited, other] = [fresh(), fresh({ provider: name === 'stripe' ? 'yookassa' : 'stripe' })]
    const others = sides[name === 'stripe' ? 'yookassa' : 'stripe']()
    side.server.faults.push('rate_limited')
    const options = { providers: [side.provider, others.provider], defaultProvider: name }
    const work = async () => {
      await bench.send(limited)
      const { look, queue, sql } = bench
      const waits = async () =>
        (
          await sql`select extract(epoch from vt - clock_timestamp())::float8 as s from ${look.table('q', queue)}
          where read_ct > 0 and message ->> 'payment_id' = ${limited.payment_id}`
        )[0]?.s
      await expect.poll(waits, { timeout: 30_000 }).toSatisfy((s: number) => s > 5 && s < 14)
      await bench.send({ ...other, payment_method: others.methods.good })
      await expect.poll(() => others.server.charges(other.payment_id), { timeout: 30_000 }).toBe(1)
      await look.expire(queue)
      await bench.done()
    }
    await bench.work(options, work, { maxAttempts: 1 })
    expect(side.server.charges(limited.payment_id)).toBe(1)
  })

  test('a call of last week is not repeated: the provider is asked what became of it', async () => {
    const create = fresh()
    const { payment_id } = create
    await ended([create])
    // As if the answer had never come, and the message were redriven after a week.
    side.server.forgetKeys()
    await withoutTriggers(
      (tx) => tx`update public.payments set status = 'new', provider_id = null where id = ${payment_id}`,
    )
    await ended([create])
    expect(side.server.charges(payment_id)).toBe(1)
    expect(await bench.payment(payment_id)).toMatchObject({ status: 'succeeded' })
  })

  test('what the row does not know yet hinders nothing: the provider is asked', async () => {
    const create = fresh({ capture: false, payment_method: null, return_url: 'https://shop.example/thanks' })
    const { payment_id } = create
    await ended([create])
    side.server.pay(`${(await bench.payment(payment_id)).provider_id}`)
    side.server.faults.push('fails')
    await ended([{ operation: 'capture', payment_id, amount: 1000 }])
    expect(await bench.payment(payment_id)).toMatchObject({ status: 'succeeded', captured_amount: '1000' })
  })

  test('a payment whose creation nobody heard the end of is found by sync', async () => {
    const create = fresh()
    const { payment_id } = create
    await ended([create])
    await withoutTriggers(
      (tx) => tx`update public.payments set status = 'new', provider_id = null where id = ${payment_id}`,
    )
    await ended([{ operation: 'sync', payment_id }])
    expect(await bench.payment(payment_id)).toMatchObject({ status: 'succeeded', captured_amount: '1999' })
  })

  describe('notifications', () => {
    /** A payment the customer has not paid yet. */
    const waiting = async () => {
      const create = fresh({ payment_method: null, return_url: 'https://shop.example/thanks' })
      await ended([create])
      const row = await bench.payment(create.payment_id)
      expect(row.status).toBe('pending')
      return { id: create.payment_id, providerId: `${row.provider_id}` }
    }

    test('twice and in the wrong order: applied once, never backwards', async () => {
      const { id, providerId } = await waiting()
      side.server.pay(providerId)
      const { first, later } = side.events(providerId)
      await ended([later, later])
      await ended([first, later])
      expect(await bench.payment(id)).toMatchObject({ status: 'succeeded', captured_amount: '1999' })
      expect(await toldOf(id)).toEqual(['pending', 'succeeded'])
      const applied = (await bench.events(id)).filter(({ outcome }) => outcome === 'applied')
      expect(applied).toHaveLength(2)
    })

    test('forged: a dead letter, and nothing is written', async () => {
      const { id, providerId } = await waiting()
      const before = await bench.events(id)
      const { forged } = side.events(providerId)
      await ended([forged], { maxAttempts: 2 })
      expect(await bench.payment(id)).toMatchObject({ status: 'pending' })
      expect(await bench.events(id)).toEqual(before)
      expect((await dead('notification')).length).toBeGreaterThan(0)
    })

    test('about what is not ours, or nothing of ours: ignored', async () => {
      const count = (await bench.dead()).length
      const own =
        name === 'stripe'
          ? stripe.event('evt_x', 'customer.created', { object: 'customer', id: 'cus_1' })
          : null
      const payload = own?.body ?? yookassa.notification('payout.succeeded', { id: randomUUID() })
      await ended([{ operation: 'notification', provider: name, payload, signature: own?.signature }])
      expect((await bench.dead()).length).toBe(count)
    })
  })

  test('nothing but the API was told the key, and every change had an idempotency key', () => {
    const changes = side.server.requests.filter(({ method }) => method === 'POST')
    expect(changes.length).toBeGreaterThan(10)
    expect(changes.filter(({ key }) => key === undefined)).toEqual([])
    expect(
      side.server.requests.filter(({ headers }) => headers['x-stripe-client-telemetry'] !== undefined),
    ).toEqual([])
  })
})
