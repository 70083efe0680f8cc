/** A server in place of YooKassa, for what the worker uses of its published API of version 3: payments and refunds. */
import { randomUUID } from 'node:crypto'
import { type FakeAnswer, type FakeApi, type FakeRequest, startFakeApi } from './fake-api.ts'

export const YOOKASSA_SHOP = '506751'
export const YOOKASSA_KEY = 'test_QueueWorkerFakeKey'
/** Saved ways to pay. */
export const METHODS = { good: 'saved-good', declined: 'saved-without-money' } as const

type Money = { value: string; currency: string }
type Payment = {
  id: string
  status: string
  amount: Money
  created_at: string
  metadata: Record<string, string>
  capture: boolean
  refunded_amount?: Money
  [more: string]: unknown
}
type Refund = {
  id: string
  payment_id: string
  status: string
  amount: Money
  metadata?: Record<string, string>
}

export type YookassaServer = FakeApi & {
  readonly payments: Map<string, Payment>
  readonly refunds: Map<string, Refund>
  /** How often money was taken or held for this payment of ours. */
  charges(paymentId: string): number
  /** What a customer does at the page. */
  pay(id: string): void
  /** The body of a notification. */
  notification(event: string, object: unknown): string
}

const error = (status: number, code: string, description: string, parameter?: string): FakeAnswer => ({
  status,
  body: {
    type: 'error',
    id: randomUUID(),
    code,
    description,
    ...(parameter === undefined ? {} : { parameter }),
  },
})
const invalid = (description: string, parameter?: string) =>
  error(400, 'invalid_request', description, parameter)
const ok = (body: unknown): FakeAnswer => ({ status: 200, body, isKept: true })
const cents = ({ value }: Money) => BigInt(value.replace('.', ''))
const money = (amount: bigint, currency: string): Money => {
  const digits = `${amount}`.padStart(3, '0')
  return { value: `${digits.slice(0, -2)}.${digits.slice(-2)}`, currency }
}
const isMoney = (given: unknown): given is Money =>
  typeof given === 'object' && given !== null && /^\d+\.\d\d$/.test(`${Reflect.get(given, 'value')}`)

export async function startYookassa(): Promise<YookassaServer> {
  const payments = new Map<string, Payment>()
  const refunds = new Map<string, Refund>()
  const basic = `Basic ${Buffer.from(`${YOOKASSA_SHOP}:${YOOKASSA_KEY}`).toString('base64')}`

  function create(body: Record<string, unknown>): FakeAnswer {
    if (!isMoney(body.amount)) return invalid('Amount must have two digits behind the point', 'amount.value')
    const { confirmation, payment_method_id: method } = body as {
      confirmation?: { return_url?: string }
      payment_method_id?: string
    }
    if (method === undefined && confirmation?.return_url === undefined) {
      return invalid('Either a saved payment method or a confirmation is needed', 'confirmation')
    }
    const id = randomUUID()
    const payment: Payment = {
      id,
      status: 'pending',
      paid: false,
      amount: body.amount,
      created_at: new Date().toISOString(),
      metadata: (body.metadata ?? {}) as Record<string, string>,
      capture: body.capture === true,
      refundable: false,
      test: true,
    }
    payments.set(id, payment)
    if (method === METHODS.declined) {
      payment.status = 'canceled'
      payment.cancellation_details = { party: 'payment_network', reason: 'insufficient_funds' }
    } else if (method === undefined) {
      payment.confirmation = {
        type: 'redirect',
        confirmation_url: `https://yoomoney.example/checkout?orderId=${id}`,
      }
    } else charge(payment)
    return ok(payment)
  }

  function charge(payment: Payment): void {
    payment.status = payment.capture ? 'succeeded' : 'waiting_for_capture'
    payment.paid = true
    delete payment.confirmation
    if (payment.capture) payment.refunded_amount = money(0n, payment.amount.currency)
  }

  function change(payment: Payment, verb: string, body: Record<string, unknown>): FakeAnswer {
    if (payment.status !== 'waiting_for_capture') return invalid(`The payment is ${payment.status}`, 'status')
    if (verb === 'cancel') {
      payment.status = 'canceled'
      payment.cancellation_details = { party: 'merchant', reason: 'canceled_by_merchant' }
      return ok(payment)
    }
    if (isMoney(body.amount)) {
      if (cents(body.amount) > cents(payment.amount)) return invalid('More than is held', 'amount')
      payment.amount = body.amount
    }
    payment.capture = true
    charge(payment)
    return ok(payment)
  }

  function refund(body: Record<string, unknown>): FakeAnswer {
    const payment = payments.get(`${body.payment_id}`)
    if (payment === undefined) return error(404, 'not_found', 'There is no such payment', 'payment_id')
    if (!isMoney(body.amount) || payment.status !== 'succeeded')
      return invalid('Cannot be refunded', 'payment_id')
    const before = payment.refunded_amount === undefined ? 0n : cents(payment.refunded_amount)
    if (before + cents(body.amount) > cents(payment.amount)) return invalid('More than is left', 'amount')
    payment.refunded_amount = money(before + cents(body.amount), payment.amount.currency)
    const made: Refund = {
      id: randomUUID(),
      payment_id: payment.id,
      status: 'succeeded',
      amount: body.amount,
      ...(body.metadata === undefined ? {} : { metadata: body.metadata as Record<string, string> }),
    }
    refunds.set(made.id, made)
    return ok(made)
  }

  function list(all: readonly { id: string }[], query: URLSearchParams): FakeAnswer {
    const limit = Number(query.get('limit') ?? 10)
    if (!(limit >= 1 && limit <= 100)) return invalid('limit is 1 to 100', 'limit')
    const from = Number(query.get('cursor') ?? 0)
    const items = all.slice(from, from + limit)
    const next = from + limit < all.length ? { next_cursor: `${from + limit}` } : {}
    return { status: 200, body: { type: 'list', items, ...next } }
  }

  function handle(request: FakeRequest): FakeAnswer {
    if (request.headers.authorization !== basic)
      return error(401, 'invalid_credentials', 'Error in shopId or secret key')
    if (request.method === 'POST' && !(request.key !== undefined && request.key.length <= 64)) {
      return invalid('Idempotence-Key is missing or longer than 64', 'Idempotence-Key')
    }
    const [, , resource = '', id = '', verb = ''] = request.path.split('/')
    const body = request.body === '' ? {} : JSON.parse(request.body)
    if (resource === 'refunds') {
      if (request.method === 'POST') return refund(body)
      const one = refunds.get(id)
      if (id !== '')
        return one === undefined
          ? error(404, 'not_found', 'There is no such refund')
          : { status: 200, body: one }
      return list(
        [...refunds.values()].filter((each) => each.payment_id === request.query.get('payment_id')),
        request.query,
      )
    }
    if (id === '') {
      if (request.method === 'POST') return create(body)
      const [from = '', to = '9'] = ['created_at.gte', 'created_at.lte'].map(
        (name) => request.query.get(name) ?? undefined,
      )
      const within = [...payments.values()].filter(({ created_at }) => created_at >= from && created_at <= to)
      return list(within.toReversed(), request.query)
    }
    const payment = payments.get(id)
    if (payment === undefined) return error(404, 'not_found', 'There is no such payment')
    return request.method === 'POST' ? change(payment, verb, body) : { status: 200, body: payment }
  }

  const api = await startFakeApi({
    keyHeader: 'idempotence-key',
    handle,
    fault: (status) =>
      status === 429
        ? { ...error(429, 'too_many_requests', 'Too many requests'), headers: { 'retry-after': '7' } }
        : error(status, 'internal_server_error', 'The result of the request is not known'),
    keyMisused: () => invalid('The key was used for another request', 'Idempotence-Key'),
    keepsFailures: false,
    replayed: {},
  })

  return Object.assign(api, {
    url: `${api.url}/v3`,
    payments,
    refunds,
    charges: (paymentId: string) =>
      [...payments.values()].filter(
        ({ metadata, paid }) => metadata.payment_id === paymentId && paid === true,
      ).length,
    pay(id: string) {
      const known = payments.get(id)
      if (known !== undefined) charge(known)
    },
    notification: (event: string, object: unknown) => JSON.stringify({ type: 'notification', event, object }),
  })
}
