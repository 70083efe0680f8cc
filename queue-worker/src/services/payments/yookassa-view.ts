/** How our payments look to YooKassa, and its objects from here. Pure. Amounts are decimals in texts there. */
import { UnrecoverableError } from '../../errors.ts'
import { currencyExponent, fromDecimal, toDecimal } from '../../utils/currency.ts'
import type {
  ChangePayment,
  CreatePayment,
  ProviderPayment,
  ProviderRefund,
  RefundPayment,
} from './contract.ts'

/** The least that is believed of an object of YooKassa's. */
export type YooObject = Readonly<Record<string, unknown>> & { readonly id: string; readonly status: string }

/** Reasons for which nobody refused anything: the payment was given up, or nobody came to pay it. */
const GIVEN_UP = new Set([
  'canceled_by_merchant',
  'expired_on_confirmation',
  'expired_on_capture',
  'deal_expired',
])

/** The events about payments and refunds, and as what their object was shown when they happened. */
const EVENTS: ReadonlyMap<string, { readonly about: 'payment' | 'refund'; readonly status: string }> =
  new Map([
    ['payment.waiting_for_capture', { about: 'payment', status: 'waiting_for_capture' }],
    ['payment.succeeded', { about: 'payment', status: 'succeeded' }],
    ['payment.canceled', { about: 'payment', status: 'canceled' }],
    ['refund.succeeded', { about: 'refund', status: 'succeeded' }],
  ])
/** A payment that is held is captured or canceled later. */
const AFTER_HOLD = ['succeeded', 'canceled']

export function yooAmount({ amount, currency }: Pick<ChangePayment, 'amount' | 'currency'>) {
  return { value: toDecimal(amount, currencyExponent(currency) ?? 2), currency }
}

export function yooCreate(payment: CreatePayment) {
  const { capture, description, returnUrl, metadata, paymentMethod, customer, receipt } = payment
  return {
    amount: yooAmount(payment),
    capture,
    metadata: { ...metadata, payment_id: payment.paymentId },
    description,
    receipt,
    payment_method_id: paymentMethod,
    merchant_customer_id: customer,
    // A saved way to pay needs nobody at a page.
    ...(paymentMethod === undefined && returnUrl !== undefined
      ? { confirmation: { type: 'redirect', return_url: returnUrl } }
      : {}),
  }
}

export function yooRefund(refund: RefundPayment) {
  const { id, reference, reason, receipt } = refund
  return { payment_id: id, amount: yooAmount(refund), description: reason, receipt, metadata: { reference } }
}

export function yooPayment(given: YooObject): ProviderPayment {
  const reason = textIn(given.cancellation_details, 'reason')
  const isGivenUp = reason === undefined || GIVEN_UP.has(reason)
  const id = textIn(given.metadata, 'payment_id')
  return {
    id: given.id,
    status: statusOf(given.status, isGivenUp),
    amount: minorOf(given.amount),
    currency: `${textIn(given.amount, 'currency')}`,
    captured: given.status === 'succeeded' ? minorOf(given.amount) : 0n,
    refunded: given.refunded_amount === undefined ? 0n : minorOf(given.refunded_amount),
    paymentId: id !== undefined && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id) ? id : undefined,
    confirmationUrl: textIn(given.confirmation, 'confirmation_url'),
    error: given.status === 'canceled' && !isGivenUp ? `${reason}` : undefined,
  }
}

function statusOf(status: string, isGivenUp: boolean): ProviderPayment['status'] {
  switch (status) {
    case 'pending':
    case 'succeeded':
      return status
    case 'waiting_for_capture':
      return 'authorized'
    case 'canceled':
      return isGivenUp ? 'canceled' : 'failed'
    default:
      throw new Error(`YooKassa shows a payment as "${status}", which this version does not know.`)
  }
}

export function yooRefundView({ id, status, cancellation_details }: YooObject): ProviderRefund {
  if (status === 'succeeded' || status === 'pending') return { id, status }
  return { id, status: 'failed', error: textIn(cancellation_details, 'reason') ?? status }
}

/** What a notification claims: something about this payment or refund; null: about something else. */
export type Claim = {
  readonly event: string
  readonly id: string
  readonly about: 'payment' | 'refund' | null
}

/** @throws UnrecoverableError for what is no notification, and for events that there are none of. */
export function yooClaim(body: string): Claim {
  let given: unknown
  try {
    given = JSON.parse(body)
  } catch (error) {
    throw new UnrecoverableError('The notification of YooKassa is not JSON.', { cause: error })
  }
  const event = textIn(given, 'event')
  const id = textIn(fieldOf(given, 'object'), 'id')
  const isNamed = event !== undefined && /^[a-z_]{1,40}\.[a-z_]{1,40}$/.test(event)
  // The id becomes part of an address: of the API's, not one that somebody has thought up.
  if (textIn(given, 'type') !== 'notification' || !isNamed || !/^[\w-]{1,64}$/.test(id ?? '')) {
    throw new UnrecoverableError('A notification of YooKassa has type, event and object.id; this has not.')
  }
  const about = EVENTS.get(event)?.about ?? null
  if (about === null && /^(payment|refund)\./.test(event)) {
    const known = [...EVENTS.keys()].join(', ')
    throw new UnrecoverableError(
      `YooKassa has no event ${event} that this version knows; known are ${known}.`,
    )
  }
  return { event, id: `${id}`, about }
}

/** Whether the object, read from the API, is at least as far as the notification says. */
export function isTrue({ event }: Pick<Claim, 'event'>, { status }: Pick<YooObject, 'status'>): boolean {
  const claimed = EVENTS.get(event)?.status
  return status === claimed || (claimed === 'waiting_for_capture' && AFTER_HOLD.includes(status))
}

export function yooObject(given: unknown): YooObject {
  const [id, status] = [textIn(given, 'id'), textIn(given, 'status')]
  if (typeof given === 'object' && given !== null && id !== undefined && status !== undefined) {
    return { ...given, id, status }
  }
  throw new Error('YooKassa answered something that is no payment and no refund.')
}

/** A page of a list, and the cursor of the next one. */
export function yooPage(given: unknown): { items: YooObject[]; cursor: string | undefined } {
  const items = fieldOf(given, 'items')
  if (!Array.isArray(items)) throw new Error('YooKassa answered something that is no list.')
  return { items: items.map(yooObject), cursor: textIn(given, 'next_cursor') }
}

function minorOf(amount: unknown): bigint {
  const exponent = currencyExponent(textIn(amount, 'currency') ?? '')
  return fromDecimal(textIn(amount, 'value') ?? '', exponent ?? 2)
}

export function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined
}

export function textIn(value: unknown, name: string): string | undefined {
  const found = fieldOf(value, name)
  return typeof found === 'string' ? found : undefined
}
