/** Stripe, by its official library; the one place that knows it. */
import Stripe from 'stripe'
import { coerceError, UnrecoverableError } from '../../errors.ts'
import { unlessAborted } from '../../utils/unless-aborted.ts'
import type { Notification, PaymentProvider, ProviderPayment } from './contract.ts'
import { providerFailure } from './failures.ts'
import {
  createParams,
  intentOf,
  PAYMENT_ID,
  REFERENCE,
  stripePayment,
  stripeRefund,
  toStripeAmount,
} from './stripe-view.ts'

export type StripeSettings = {
  /** sk_… or rk_… */
  readonly key: string
  /** whsec_…; without it notifications are refused. */
  readonly webhookSecret?: string | undefined
  /** Default https://api.stripe.com */
  readonly url?: string | undefined
  /** Default 30 000. */
  readonly timeoutMs?: number | undefined
}

/** How many payments a search by our id looks through before it gives up. */
const MAX_SEARCHED = 10_000

/** Connects with the first call. */
export function stripeProvider(settings: StripeSettings): PaymentProvider {
  const { protocol, hostname, port } = new URL(settings.url ?? 'https://api.stripe.com')
  const isPlain = protocol === 'http:'
  const stripe = new Stripe(settings.key, {
    host: hostname,
    port: port === '' ? (isPlain ? 80 : 443) : Number(port),
    protocol: isPlain ? 'http' : 'https',
    timeout: settings.timeoutMs ?? 30_000,
    // When to try again is decided by the queue, with what it knows of the message.
    maxNetworkRetries: 0,
    telemetry: false,
  })

  async function asking<T>(call: Promise<T>, signal: AbortSignal): Promise<T> {
    return unlessAborted(call, signal).catch((error: unknown) => fail(error, false))
  }

  async function changing<T>(call: Promise<T>, signal: AbortSignal): Promise<T> {
    return unlessAborted(call, signal).catch((error: unknown) => fail(error, true))
  }

  const refundsOf = (id: string, signal: AbortSignal) =>
    asking(stripe.refunds.list({ payment_intent: id, limit: 100 }).autoPagingToArray({ limit: 1000 }), signal)

  /** Only refunds that have succeeded count: the charge's own sum has those under way in it. */
  async function view(intent: Stripe.PaymentIntent, signal: AbortSignal): Promise<ProviderPayment> {
    const refunds = intent.status === 'succeeded' ? await refundsOf(intent.id, signal) : []
    const done = refunds.filter(({ status }) => status === 'succeeded')
    return stripePayment(
      intent,
      done.reduce((sum, { amount }) => sum + amount, 0),
    )
  }

  return {
    name: 'stripe',
    async create(payment, { key, signal }) {
      const call = stripe.paymentIntents.create(createParams(payment), { idempotencyKey: key })
      return stripePayment(await changing(call.catch(declined), signal), 0)
    },
    async capture({ id, amount, currency }, { key, signal }) {
      const params = { amount_to_capture: toStripeAmount(amount, currency) }
      const call = stripe.paymentIntents.capture(id, params, { idempotencyKey: key })
      return stripePayment(await changing(call, signal), 0)
    },
    async cancel({ id }, { key, signal }) {
      const call = stripe.paymentIntents.cancel(id, {}, { idempotencyKey: key })
      return stripePayment(await changing(call, signal), 0)
    },
    async refund({ id, amount, currency, reference, reason }, { key, signal }) {
      const metadata = { [REFERENCE]: reference, ...(reason === undefined ? {} : { reason }) }
      const params = { payment_intent: id, amount: toStripeAmount(amount, currency), metadata }
      return stripeRefund(await changing(stripe.refunds.create(params, { idempotencyKey: key }), signal))
    },
    async read(id, signal) {
      return view(await asking(stripe.paymentIntents.retrieve(id), signal), signal)
    },
    async find(paymentId, { from, to }, signal) {
      const created = { gte: seconds(from), lte: seconds(to) }
      // Not the search: it sees what is a minute old, and a redelivery may be quicker.
      const all = stripe.paymentIntents.list({ created, limit: 100 })
      const found = await asking(firstOf(all, paymentId), signal)
      return found === null ? null : view(found, signal)
    },
    async findRefund({ id, reference }, signal) {
      const found = (await refundsOf(id, signal)).find(({ metadata }) => metadata?.[REFERENCE] === reference)
      return found === undefined ? null : stripeRefund(found)
    },
    async verify(notification, signal) {
      const event = await verified(stripe, settings.webhookSecret, notification)
      const id = intentOf(event.data.object)
      const { id: eventId, type, created } = event
      const payment =
        id === undefined ? null : await view(await asking(stripe.paymentIntents.retrieve(id), signal), signal)
      return { id: eventId, type, at: new Date(created * 1000), payment }
    },
  }
}

/** A declined card comes as an error that holds the payment. */
function declined(error: unknown): Stripe.PaymentIntent {
  if (error instanceof Stripe.errors.StripeCardError && error.payment_intent !== undefined) {
    return error.payment_intent
  }
  throw error
}

async function firstOf(
  list: AsyncIterable<Stripe.PaymentIntent>,
  paymentId: string,
): Promise<Stripe.PaymentIntent | null> {
  let seen = 0
  for await (const intent of list) {
    if (intent.metadata[PAYMENT_ID] === paymentId) return intent
    seen += 1
    if (seen === MAX_SEARCHED) {
      throw new Error(`Payment ${paymentId} was not found among ${MAX_SEARCHED} of its time at Stripe.`)
    }
  }
  return null
}

async function verified(
  stripe: Stripe,
  secret: string | undefined,
  { body, signature }: Notification,
): Promise<Stripe.Event> {
  if (secret === undefined) {
    const remedy = 'Set it to the signing secret (whsec_…) of the endpoint and redrive this message'
    throw new UnrecoverableError(`STRIPE_WEBHOOK_SECRET is not set. ${remedy}.`)
  }
  try {
    // Tolerance 0: a notification may wait in the queue. One that is sent again counts once, by its id.
    return await stripe.webhooks.constructEventAsync(body, signature ?? '', secret, 0)
  } catch (error) {
    const [why = ''] = coerceError(error).message.split('\n')
    throw new UnrecoverableError(`The notification is not from Stripe, or is not as it was sent: ${why}`, {
      cause: error,
    })
  }
}

function fail(error: unknown, movesMoney: boolean): never {
  if (!(error instanceof Stripe.errors.StripeError)) throw error
  const { statusCode: status, headers, message, code } = error
  throw providerFailure(
    'Stripe',
    {
      status,
      retryAfter: headers?.['retry-after'],
      isReplayed: headers?.['idempotent-replayed'] === 'true',
      said: code === undefined ? message : `${code}, ${message}`,
      cause: error,
    },
    movesMoney,
  )
}

function seconds(date: Date): number {
  return Math.floor(date.getTime() / 1000)
}
