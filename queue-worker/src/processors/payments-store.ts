/** The payments processor's way to the database: entry points whose answers are checked and typed. */
import { z } from 'zod'
import { ConnectionFailure, UnrecoverableError } from '../errors.ts'
import { asker } from '../queue/queue.ts'
import { storableValue } from '../queue/requests.ts'
import type { ProviderEvent, ProviderPayment, Window } from '../services/payments/contract.ts'

/** Calls an entry point, over either transport. Throws ConnectionFailure. */
export type DatabaseCall = (entryPoint: string, request: unknown) => Promise<unknown>

const minor = z.string().regex(/^\d+$/).transform(BigInt)
const paymentRow = z.object({
  id: z.string(),
  reference: z.string().nullable(),
  provider: z.enum(['sandbox', 'stripe', 'yookassa']).nullable(),
  provider_id: z.string().nullable(),
  status: z.string(),
  amount: minor,
  currency: z.string(),
  captured_amount: minor,
  refunded_amount: minor,
  capture: z.boolean(),
  description: z.string().nullable(),
  metadata: z.record(z.string(), z.unknown()),
  confirmation_url: z.string().nullable(),
  notify: z.string().nullable(),
  last_error: z.string().nullable(),
})
const change = z.object({
  outcome: z.enum(['applied', 'unchanged', 'stale']),
  before: z.string(),
  after: z.string(),
  origin_key: z.string(),
})
const windows = z.array(
  z
    .object({ from: z.string(), to: z.string() })
    .transform(({ from, to }): Window => ({ from: new Date(from), to: new Date(to) })),
)
const begun = z.object({ payment: paymentRow.nullable(), done: change.nullable(), windows })
const applied = z.object({ payment: paymentRow.nullable(), change: change.nullable() })
const call = z.object({
  call: z
    .object({
      key: z.string(),
      generation: z.int(),
      windows,
      is_first: z.boolean(),
    })
    .nullable(),
})

export type PaymentRow = z.output<typeof paymentRow>
export type Change = z.output<typeof change>
export type MadeCall = NonNullable<z.output<typeof call>['call']>
/** A provider's view as JSON, for the database and the ledger. */
export type Seen = ReturnType<typeof toSeen>

/** Which message does what; with it goes what it has done before. */
export type Act = { readonly originKey: string; readonly operation: string }

/** What there is to say of a call: how much of what the provider shows; a generation whose key is of no more use. */
export type CallDetails = { readonly amount?: bigint; readonly seen?: Seen; readonly spent?: number }

export function createPaymentsStore(database: DatabaseCall) {
  const ask = asker(async (entryPoint, request) => {
    try {
      return await database(entryPoint, request)
    } catch (error) {
      // What the database refuses now it refuses the next time too.
      if (error instanceof ConnectionFailure && error.kind === 'rejected')
        throw new UnrecoverableError(`${error.message}. ${error.remedy}`, { cause: error })
      throw error
    }
  })
  const of = ({ originKey, operation }: Act) => ({ origin_key: originKey, operation })

  return {
    begin: (act: Act, paymentId: string | undefined, payment?: object) =>
      ask('payment_begin', { ...of(act), payment_id: paymentId, payment }, begun),
    /** Null: nothing is left to do. */
    call: async (act: Act, paymentId: string, details: CallDetails = {}) =>
      (
        await ask(
          'payment_call',
          { ...of(act), payment_id: paymentId, ...texts({ ...details, amount: details.amount?.toString() }) },
          call,
        )
      ).call,
    apply: (act: Act, paymentId: string | undefined, seen: Seen, event?: Omit<ProviderEvent, 'payment'>) =>
      ask('payment_apply', { ...of(act), payment_id: paymentId, ...texts({ seen, event }) }, applied),
  }
}

/** Providers may say what jsonb cannot hold. */
function texts(said: object): object {
  const storable = storableValue(said)
  return typeof storable === 'object' && storable !== null ? storable : {}
}

export type PaymentsStore = ReturnType<typeof createPaymentsStore>

export function toSeen(provider: string, payment: ProviderPayment) {
  return {
    provider,
    provider_id: payment.id,
    status: payment.status,
    amount: `${payment.amount}`,
    currency: payment.currency,
    captured_amount: `${payment.captured}`,
    refunded_amount: `${payment.refunded}`,
    confirmation_url: payment.confirmationUrl ?? null,
    client_secret: payment.clientSecret ?? null,
    error: payment.error ?? null,
  }
}
