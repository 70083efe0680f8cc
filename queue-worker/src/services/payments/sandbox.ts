/** The sandbox: a payment provider within the database. What it does depends on the amount; see docs/processors/payments.md. */
import {
  ConnectionFailure,
  coerceError,
  OutageError,
  UncertainEffectError,
  UnrecoverableError,
} from '../../errors.ts'
import type { Notification, PaymentProvider, ProviderPayment, ProviderRefund } from './contract.ts'

/** Calls an entry point of the database. */
export type SandboxCall = (entryPoint: string, request: unknown) => Promise<unknown>

export function sandboxProvider(call: SandboxCall): PaymentProvider {
  async function ask(operation: string, request: object, movesMoney = false): Promise<object> {
    const answer = await call('sandbox', { protocol: 2, operation, ...request }).catch((error: unknown) => {
      if (error instanceof ConnectionFailure && error.kind === 'rejected')
        throw new UnrecoverableError(error.message)
      if (!movesMoney) throw error
      const why = `The sandbox did not answer: ${coerceError(error).message}`
      throw new UncertainEffectError(why, { cause: error })
    })
    return checked(answer)
  }
  const change = async (operation: string, request: object) => paymentIn(await ask(operation, request, true))

  async function read(id: string): Promise<ProviderPayment> {
    const found = paymentIn(await ask('read', { id }))
    if (found === null) throw new UnrecoverableError(`The sandbox has no payment ${id}.`)
    return found
  }
  const sure = (payment: ProviderPayment | null) => {
    if (payment === null) throw new Error('The sandbox answered without a payment.')
    return payment
  }

  return {
    name: 'sandbox',
    read,
    create: async ({ paymentId, amount, currency, capture, returnUrl }, { key }) =>
      sure(
        await change('create', {
          key,
          payment_id: paymentId,
          amount: `${amount}`,
          currency,
          capture,
          return_url: returnUrl,
        }),
      ),
    capture: async ({ id, amount }, { key }) =>
      sure(await change('capture', { key, id, amount: `${amount}` })),
    cancel: async ({ id }, { key }) => sure(await change('cancel', { key, id })),
    async refund({ id, amount, reference }, { key }) {
      const found = refundIn(await ask('refund', { key, id, amount: `${amount}`, reference }, true))
      if (found === null) throw new Error('The sandbox answered without a refund.')
      return found
    },
    find: async (paymentId) => paymentIn(await ask('find', { payment_id: paymentId })),
    findRefund: async ({ id, reference }) => refundIn(await ask('find_refund', { id, reference })),
    async verify(notification) {
      const { event, type, payment } = readNotification(notification)
      const shown = await read(payment)
      // Anybody can name an event: it is one with what it is found to have brought about.
      return { id: `${event}:${shown.id}:${shown.status}`, type, payment: shown }
    },
  }
}

function checked(answer: unknown): object {
  if (typeof answer !== 'object' || answer === null) throw new Error('The sandbox answered nothing.')
  const error: unknown = Reflect.get(answer, 'error')
  if (error === undefined) return answer
  const message = `The sandbox refused: ${Reflect.get(answer, 'message')}`
  if (error === 'lost') throw new UncertainEffectError(message)
  if (error === 'rate_limited') {
    throw new OutageError(message, { retryAfterSeconds: Number(Reflect.get(answer, 'retry_after')) })
  }
  if (error === 'unavailable') throw new Error(message)
  throw new UnrecoverableError(message)
}

function paymentIn(answer: object): ProviderPayment | null {
  const found: unknown = Reflect.get(answer, 'payment')
  if (typeof found !== 'object' || found === null) return null
  const row = found as Record<string, string | null> & { status: ProviderPayment['status'] }
  return {
    id: `${row.id}`,
    status: row.status,
    amount: BigInt(row.amount ?? 0),
    currency: `${row.currency}`,
    captured: BigInt(row.captured_amount ?? 0),
    refunded: BigInt(row.refunded_amount ?? 0),
    paymentId: row.payment_id ?? undefined,
    confirmationUrl: row.confirmation_url ?? undefined,
    error: row.error ?? undefined,
  }
}

function refundIn(answer: object): ProviderRefund | null {
  const found: unknown = Reflect.get(answer, 'refund')
  if (typeof found !== 'object' || found === null) return null
  const { id, status } = found as { id: string; status: ProviderRefund['status'] }
  return { id, status, ...(status === 'failed' ? { error: 'the sandbox declines this refund' } : {}) }
}

function readNotification({ body }: Notification): { event: string; type: string; payment: string } {
  let given: unknown
  try {
    given = JSON.parse(body)
  } catch (error) {
    throw new UnrecoverableError('The notification of the sandbox is not JSON.', { cause: error })
  }
  const [event, type, payment] = ['event', 'type', 'payment'].map((key) =>
    typeof given === 'object' && given !== null ? Reflect.get(given, key) : undefined,
  )
  if (typeof event === 'string' && typeof type === 'string' && typeof payment === 'string') {
    return { event, type, payment }
  }
  throw new UnrecoverableError(
    'A notification of the sandbox is {"event": "…", "type": "…", "payment": "sandbox_…"}.',
  )
}
