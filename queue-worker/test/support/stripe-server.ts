/** A server in place of Stripe, for what the worker uses of its published API: PaymentIntents, Refunds, webhooks' signatures. */
import { createHmac, randomBytes } from 'node:crypto'
import { type FakeAnswer, type FakeApi, type FakeRequest, startFakeApi } from './fake-api.ts'

export const STRIPE_KEY = 'sk_test_51QueueWorkerFakeKey'
export const STRIPE_WEBHOOK_SECRET = 'whsec_queue_worker_fake'
/** Ways to pay that behave as Stripe's own test cards do. */
export const CARDS = {
  good: 'pm_card_visa',
  declined: 'pm_card_visa_chargeDeclined',
  asksTheCustomer: 'pm_card_authenticationRequired',
} as const

type Intent = Record<string, unknown> & {
  id: string
  status: string
  amount: number
  amount_received: number
  currency: string
  capture_method: string
  created: number
  metadata: Record<string, string>
}
type Refund = Record<string, unknown> & {
  id: string
  payment_intent: string
  amount: number
  status: string
  metadata: Record<string, string>
}
type Params = { [key: string]: string | Params }

export type StripeServer = FakeApi & {
  readonly intents: Map<string, Intent>
  readonly refunds: Map<string, Refund>
  /** How often money was taken or held for this payment of ours. */
  charges(paymentId: string): number
  /** What a customer does at the page. */
  pay(id: string): void
  /** The body and the signature of an event about this object. */
  event(id: string, type: string, object: unknown, secret?: string): { body: string; signature: string }
}

const id = (prefix: string) => `${prefix}_${randomBytes(12).toString('hex')}`
const error = (
  status: number,
  type: string,
  code: string | undefined,
  message: string,
  more = {},
): FakeAnswer => ({
  status,
  body: { error: { type, message, ...(code === undefined ? {} : { code }), ...more } },
  isKept: status === 402,
})
const ok = (body: unknown): FakeAnswer => ({ status: 200, body, isKept: true })
const invalid = (message: string, code?: string) => error(400, 'invalid_request_error', code, message)

export async function startStripe(): Promise<StripeServer> {
  const intents = new Map<string, Intent>()
  const refunds = new Map<string, Refund>()
  const missing = (what: string) =>
    error(404, 'invalid_request_error', 'resource_missing', `No such payment_intent: '${what}'`)

  function create(params: Params): FakeAnswer {
    const amount = Number(params.amount)
    if (!Number.isInteger(amount) || amount < 1)
      return invalid('Invalid integer: amount', 'parameter_invalid_integer')
    if (!/^[a-z]{3}$/.test(`${params.currency}`)) return invalid(`Invalid currency: ${params.currency}`)
    if (params.return_url !== undefined && params.confirm !== 'true') {
      return invalid(
        'The parameter `return_url` cannot be passed when creating a PaymentIntent unless `confirm` is set to true.',
      )
    }
    const intent: Intent = {
      id: id('pi'),
      object: 'payment_intent',
      amount,
      amount_received: 0,
      currency: `${params.currency}`,
      capture_method: `${params.capture_method ?? 'automatic_async'}`,
      client_secret: id('pi_secret'),
      created: Math.floor(Date.now() / 1000),
      metadata: (params.metadata ?? {}) as Record<string, string>,
      status: 'requires_payment_method',
      next_action: null,
      last_payment_error: null,
    }
    intents.set(intent.id, intent)
    if (params.confirm !== 'true') return ok(intent)
    if (params.payment_method === CARDS.declined) {
      const refusal = {
        type: 'card_error',
        code: 'card_declined',
        decline_code: 'generic_decline',
        message: 'Your card was declined.',
      }
      intent.last_payment_error = refusal
      return error(402, 'card_error', 'card_declined', refusal.message, {
        decline_code: refusal.decline_code,
        payment_intent: { ...intent },
      })
    }
    if (params.payment_method === CARDS.asksTheCustomer) {
      const url = `https://hooks.stripe.example/${intent.id}`
      Object.assign(intent, {
        status: 'requires_action',
        next_action: { type: 'redirect_to_url', redirect_to_url: { url } },
      })
      return ok(intent)
    }
    charge(intent)
    return ok(intent)
  }

  function charge(intent: Intent): void {
    if (intent.capture_method === 'manual') intent.status = 'requires_capture'
    else Object.assign(intent, { status: 'succeeded', amount_received: intent.amount })
    Object.assign(intent, { latest_charge: id('ch'), next_action: null })
  }

  function change(intent: Intent, verb: string, params: Params): FakeAnswer {
    const wrong = (what: string) =>
      error(
        400,
        'invalid_request_error',
        'payment_intent_unexpected_state',
        `This PaymentIntent's status is ${intent.status}: ${what}`,
      )
    if (verb === 'capture') {
      const amount = Number(params.amount_to_capture ?? intent.amount)
      if (intent.status !== 'requires_capture') return wrong('it could not be captured')
      if (amount > intent.amount) return invalid('amount_to_capture is too large', 'amount_too_large')
      Object.assign(intent, { status: 'succeeded', amount_received: amount })
      return ok(intent)
    }
    if (intent.status === 'succeeded' || intent.status === 'canceled')
      return wrong('it could not be canceled')
    intent.status = 'canceled'
    return ok(intent)
  }

  function refund(params: Params): FakeAnswer {
    const intent = intents.get(`${params.payment_intent}`)
    if (intent === undefined) return missing(`${params.payment_intent}`)
    const before = refundsOf(intent.id).reduce((sum, one) => sum + one.amount, 0)
    const amount = Number(params.amount ?? intent.amount_received - before)
    if (amount > intent.amount_received - before) {
      return invalid('Refund amount is greater than unrefunded amount on charge', 'charge_already_refunded')
    }
    const made: Refund = {
      id: id('re'),
      object: 'refund',
      amount,
      currency: intent.currency,
      payment_intent: intent.id,
      metadata: (params.metadata ?? {}) as Record<string, string>,
      status: 'succeeded',
      failure_reason: undefined,
    }
    refunds.set(made.id, made)
    return ok(made)
  }

  const refundsOf = (intent: string) => [...refunds.values()].filter((one) => one.payment_intent === intent)

  function list(all: readonly { id: string }[], query: URLSearchParams): FakeAnswer {
    const limit = Number(query.get('limit') ?? 10)
    const after = query.get('starting_after')
    const from = after === null ? 0 : all.findIndex((one) => one.id === after) + 1
    const data = all.slice(from, from + limit)
    return {
      status: 200,
      body: { object: 'list', data, has_more: from + limit < all.length, url: '/v1/list' },
    }
  }

  function handle(request: FakeRequest): FakeAnswer {
    if (request.headers.authorization !== `Bearer ${STRIPE_KEY}`) {
      return error(401, 'invalid_request_error', undefined, 'Invalid API Key provided: sk_****')
    }
    const [, , resource = '', one = '', verb = ''] = request.path.split('/')
    const { query } = request
    const params = nested(request.body)
    if (resource === 'refunds') {
      if (request.method === 'POST') return refund(params)
      return list(refundsOf(query.get('payment_intent') ?? '').toReversed(), query)
    }
    if (resource !== 'payment_intents')
      return error(404, 'invalid_request_error', undefined, 'Unrecognized request URL')
    if (one === '') {
      if (request.method === 'POST') return create(params)
      const [from, to] = ['created[gte]', 'created[lte]'].map((name) => Number(query.get(name)))
      const within = [...intents.values()].filter(
        ({ created }) => created >= (from ?? 0) && created <= (to || Number.POSITIVE_INFINITY),
      )
      return list(within.toReversed(), query)
    }
    const intent = intents.get(one)
    if (intent === undefined) return missing(one)
    return request.method === 'POST' ? change(intent, verb, params) : { status: 200, body: intent }
  }

  const api = await startFakeApi({
    keyHeader: 'idempotency-key',
    clientAsksTwice: true,
    keepsFailures: true,
    handle,
    fault: (status) =>
      status === 429
        ? {
            ...error(429, 'invalid_request_error', 'rate_limit', 'Too many requests'),
            headers: { 'retry-after': '7' },
          }
        : error(status, 'api_error', undefined, 'An unknown error occurred'),
    keyMisused: () =>
      error(
        400,
        'idempotency_error',
        undefined,
        'Keys for idempotent requests can only be used with the same parameters they were first used with.',
      ),
    replayed: { 'idempotent-replayed': 'true' },
  })

  return Object.assign(api, {
    intents,
    refunds,
    charges: (paymentId: string) =>
      [...intents.values()].filter(
        ({ metadata, latest_charge }) => metadata.payment_id === paymentId && latest_charge !== undefined,
      ).length,
    pay(intent: string) {
      const known = intents.get(intent)
      if (known !== undefined) charge(known)
    },
    event(eventId: string, type: string, object: unknown, secret = STRIPE_WEBHOOK_SECRET) {
      const created = Math.floor(Date.now() / 1000)
      const body = JSON.stringify({ id: eventId, object: 'event', type, created, data: { object } })
      const v1 = createHmac('sha256', secret).update(`${created}.${body}`).digest('hex')
      return { body, signature: `t=${created},v1=${v1}` }
    },
  })
}

/** `a[b]=c` as Stripe reads it. */
function nested(body: string): Params {
  const params: Params = {}
  for (const [name, value] of new URLSearchParams(body)) {
    const [first = '', second] = name.replaceAll(']', '').split('[')
    if (second === undefined) params[first] = value
    else params[first] = { ...(params[first] as Params | undefined), [second]: value }
  }
  return params
}
