/** How our payments look to Stripe, and Stripe's objects from here. Pure. Amounts are in Stripe's units, which are not always those of ISO 4217. */
import type Stripe from 'stripe'
import { UnrecoverableError } from '../../errors.ts'
import type { CreatePayment, ProviderPayment, ProviderRefund } from './contract.ts'

/** Metadata of ours: whose payment it is, whether the worker confirms it, and which message a refund is of. */
export const PAYMENT_ID = 'payment_id'
export const CONFIRMED_HERE = 'confirmed_by_worker'
export const REFERENCE = 'reference'

/** Stripe counts these in hundredths although ISO 4217 has no minor unit for them. */
const IN_HUNDREDTHS = new Set(['ISK', 'UGX'])
/** And this one in whole units although it has hundredths (in fact fifths). */
const IN_WHOLE = new Set(['MGA'])

/** @throws UnrecoverableError for an amount that Stripe cannot express. */
export function toStripeAmount(minor: bigint, currency: string): number {
  const amount = IN_HUNDREDTHS.has(currency) ? minor * 100n : IN_WHOLE.has(currency) ? minor / 100n : minor
  const isExact = !IN_WHOLE.has(currency) || minor % 100n === 0n
  if (isExact && amount <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(amount)
  throw new UnrecoverableError(`Stripe cannot take ${minor} ${currency} (minor units).`)
}

export function fromStripeAmount(amount: number, currency: string): bigint {
  const code = currency.toUpperCase()
  if (IN_HUNDREDTHS.has(code)) return BigInt(amount) / 100n
  return IN_WHOLE.has(code) ? BigInt(amount) * 100n : BigInt(amount)
}

export function createParams(payment: CreatePayment): Stripe.PaymentIntentCreateParams {
  const { amount, currency, capture, description, returnUrl, metadata, paymentMethod, customer } = payment
  const isConfirmed = paymentMethod !== undefined
  const { [CONFIRMED_HERE]: _ours, ...own } = metadata
  return {
    amount: toStripeAmount(amount, currency),
    currency: currency.toLowerCase(),
    capture_method: capture ? 'automatic' : 'manual',
    metadata: {
      ...own,
      [PAYMENT_ID]: payment.paymentId,
      ...(isConfirmed ? { [CONFIRMED_HERE]: 'yes' } : {}),
    },
    automatic_payment_methods: {
      enabled: true,
      ...(isConfirmed && returnUrl === undefined ? { allow_redirects: 'never' } : {}),
    },
    ...(description === undefined ? {} : { description }),
    ...(customer === undefined ? {} : { customer }),
    ...(isConfirmed ? { payment_method: paymentMethod, confirm: true } : {}),
    ...(isConfirmed && returnUrl !== undefined ? { return_url: returnUrl } : {}),
    // Nobody is there to be asked for a code.
    ...(isConfirmed && returnUrl === undefined ? { off_session: true } : {}),
  }
}

/** `refunded` in Stripe's units. */
export function stripePayment(intent: Stripe.PaymentIntent, refunded: number): ProviderPayment {
  const status = statusOf(intent)
  const isConfirmedHere = intent.metadata[CONFIRMED_HERE] !== undefined
  const error = intent.last_payment_error
  const url = intent.next_action?.redirect_to_url?.url
  return {
    id: intent.id,
    status,
    // Nobody but the worker could go on with it, and it does not.
    ...(status === 'failed' && intent.status !== 'canceled' ? { isOpen: true } : {}),
    amount: fromStripeAmount(intent.amount, intent.currency),
    currency: intent.currency.toUpperCase(),
    captured: fromStripeAmount(intent.amount_received, intent.currency),
    refunded: fromStripeAmount(refunded, intent.currency),
    paymentId: ourId(intent.metadata[PAYMENT_ID]),
    confirmationUrl: url ?? undefined,
    // With it a page can go on; nobody may, where the worker confirms.
    clientSecret: isConfirmedHere ? undefined : (intent.client_secret ?? undefined),
    error:
      error == null || status === 'succeeded' || status === 'authorized'
        ? undefined
        : `${error.decline_code ?? error.code ?? error.type}: ${error.message ?? 'declined'}`,
  }
}

/** A customer at a page may try again, and give up; what the worker confirmed is over with its first refusal. */
function statusOf(intent: Stripe.PaymentIntent): ProviderPayment['status'] {
  const isOver = intent.last_payment_error != null && intent.metadata[CONFIRMED_HERE] !== undefined
  switch (intent.status) {
    case 'succeeded':
      return 'succeeded'
    case 'requires_capture':
      return 'authorized'
    case 'canceled':
      return isOver ? 'failed' : 'canceled'
    case 'requires_payment_method':
      return isOver ? 'failed' : 'pending'
    default:
      return 'pending'
  }
}

export function stripeRefund(refund: Stripe.Refund): ProviderRefund {
  const { id, status, failure_reason } = refund
  if (status === 'succeeded') return { id, status }
  if (status === 'failed' || status === 'canceled') {
    return { id, status: 'failed', error: failure_reason ?? status }
  }
  return { id, status: 'pending' }
}

/** The payment that an event's object is about; undefined for objects of another kind. */
export function intentOf(object: unknown): string | undefined {
  if (typeof object !== 'object' || object === null) return undefined
  const kind: unknown = Reflect.get(object, 'object')
  const id: unknown =
    kind === 'payment_intent'
      ? Reflect.get(object, 'id')
      : kind === 'charge' || kind === 'refund'
        ? Reflect.get(object, 'payment_intent')
        : undefined
  return typeof id === 'string' ? id : undefined
}

/** Somebody else may use this key of the metadata too, for something else. */
function ourId(text: string | undefined): string | undefined {
  return text !== undefined && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text) ? text : undefined
}
