/** The payment providers as their conformance suite sees them: each with the books of its other side, and faults on demand. */
import { randomUUID } from 'node:crypto'
import postgres from 'postgres'
import { inject } from 'vitest'
import type { CreatePayment, Notification, PaymentProvider } from '../../src/services/payments/contract.ts'
import { sandboxProvider } from '../../src/services/payments/sandbox.ts'
import { stripeProvider } from '../../src/services/payments/stripe.ts'
import { yookassaProvider } from '../../src/services/payments/yookassa.ts'
import type { Fault } from './fake-api.ts'
import { CARDS, STRIPE_KEY, STRIPE_WEBHOOK_SECRET, startStripe } from './stripe-server.ts'
import { openTransport } from './transports.ts'
import { METHODS, startYookassa, YOOKASSA_KEY, YOOKASSA_SHOP } from './yookassa-server.ts'

/** What is to become of a payment: charged at once, declined, or the customer has to do something first. */
export type Fate = 'charged' | 'declined' | 'waits'

export type ProviderBench = {
  readonly provider: PaymentProvider
  /** A payment that will have this fate, or meet this fault. */
  payment(fate: Fate | Fault, more?: Partial<CreatePayment>): CreatePayment
  /** Faults it can have; the sandbox has but those of its amounts. */
  readonly faults: readonly Fault[]
  /** How often money was taken or held for this payment. */
  charges(paymentId: string): Promise<number>
  /** The customer does what was to be done. */
  pays(id: string): Promise<void>
  /** A genuine notification about this payment, under this event id where the provider has such. */
  notification(id: string, event: string): Notification
  /** Notifications that the provider has not sent, and that must be refused. */
  forged(id: string): readonly Notification[]
  /** The same provider with a key that is refused; null where there are no keys. */
  readonly wrongKey: PaymentProvider | null
  close(): Promise<void>
}

export const BENCHES: Readonly<Record<string, () => Promise<ProviderBench>>> = {
  sandbox: sandboxBench,
  stripe: stripeBench,
  yookassa: yookassaBench,
}

const plain = (more: Partial<CreatePayment>): CreatePayment => ({
  paymentId: randomUUID(),
  amount: 5000n,
  currency: 'EUR',
  capture: true,
  metadata: { order: '17' },
  ...more,
})

async function sandboxBench(): Promise<ProviderBench> {
  const transport = openTransport('postgres', inject('stack'))
  const sql = postgres(inject('stack').databaseUrl, { max: 1, onnotice: () => {} })
  const amounts = {
    declined: 4001n,
    waits: 4002n,
    cut_late: 4008n,
    rate_limited: 4029n,
    fails: 4500n,
  } as const
  const body = (event: string, payment: string) => JSON.stringify({ event, type: 'payment.changed', payment })
  return {
    provider: sandboxProvider(transport.call),
    payment: (fate, more = {}) =>
      plain({ ...(fate in amounts ? { amount: Reflect.get(amounts, fate) } : {}), ...more }),
    faults: ['rate_limited', 'fails', 'cut_late'],
    charges: async (paymentId) =>
      (await sql`select from queue_worker.sandbox_payments where payment_id = ${paymentId}`).length,
    async pays(id) {
      await transport.call('sandbox', { protocol: 2, operation: 'pay', id })
    },
    notification: (id, event) => ({ body: body(event, id) }),
    forged: () => [{ body: body('e', 'sandbox_of_nobody') }, { body: '{}' }, { body: 'nonsense' }],
    wrongKey: null,
    async close() {
      await transport.close()
      await sql.end()
    },
  }
}

async function stripeBench(): Promise<ProviderBench> {
  const server = await startStripe()
  const settings = { webhookSecret: STRIPE_WEBHOOK_SECRET, url: server.url, timeoutMs: 20_000 }
  const cards = { declined: CARDS.declined, waits: CARDS.asksTheCustomer }
  return {
    provider: stripeProvider({ key: STRIPE_KEY, ...settings }),
    payment(fate, more = {}) {
      if (isFault(fate)) server.faults.push(fate)
      const paymentMethod = fate === 'declined' || fate === 'waits' ? cards[fate] : CARDS.good
      return plain({ paymentMethod, returnUrl: 'https://shop.example/thanks', ...more })
    },
    faults: ['rate_limited', 'fails', 'fails_late', 'cut', 'cut_late'],
    charges: async (paymentId) => server.charges(paymentId),
    pays: async (id) => server.pay(id),
    notification: (id, event) => server.event(event, 'payment_intent.succeeded', server.intents.get(id)),
    forged(id) {
      const genuine = server.event('evt_forged', 'payment_intent.succeeded', server.intents.get(id))
      const strange = server.event(
        'evt_forged',
        'payment_intent.succeeded',
        server.intents.get(id),
        'whsec_other',
      )
      return [
        strange,
        { body: genuine.body.replace('evt_forged', 'evt_other'), signature: genuine.signature },
        { body: genuine.body },
        { body: genuine.body, signature: 'nonsense' },
      ]
    },
    wrongKey: stripeProvider({ key: 'sk_test_wrong', ...settings }),
    close: () => server.stop(),
  }
}

async function yookassaBench(): Promise<ProviderBench> {
  const server = await startYookassa()
  const settings = { shopId: YOOKASSA_SHOP, url: server.url, timeoutMs: 20_000 }
  const { notification } = server
  return {
    provider: yookassaProvider({ key: YOOKASSA_KEY, ...settings }),
    payment(fate, more = {}) {
      if (isFault(fate)) server.faults.push(fate)
      const paymentMethod = fate === 'declined' ? METHODS.declined : METHODS.good
      const how = fate === 'waits' ? { returnUrl: 'https://shop.example/thanks' } : { paymentMethod }
      return plain({ ...how, ...more })
    },
    faults: ['rate_limited', 'fails', 'fails_late', 'cut', 'cut_late'],
    charges: async (paymentId) => server.charges(paymentId),
    pays: async (id) => server.pay(id),
    notification: (id) => {
      const payment = server.payments.get(id)
      return { body: notification(`payment.${payment?.status}`, payment) }
    },
    forged: () => [
      { body: notification('payment.succeeded', { id: randomUUID(), status: 'succeeded' }) },
      { body: notification('refund.succeeded', { id: randomUUID(), status: 'succeeded' }) },
      { body: notification('payment.succeeded', { id: '../refunds' }) },
      { body: '{}' },
      { body: 'nonsense' },
    ],
    wrongKey: yookassaProvider({ key: 'wrong', ...settings }),
    close: () => server.stop(),
  }
}

export function isFault(fate: Fate | Fault): fate is Fault {
  return fate !== 'charged' && fate !== 'declined' && fate !== 'waits'
}
