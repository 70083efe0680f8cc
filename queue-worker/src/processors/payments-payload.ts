/** What a message of the payments queue may say. The reference for people is docs/processors/payments.md. */
import { z } from 'zod'
import { CURRENCIES } from '../utils/currency.ts'
import { dropNulls } from '../utils/drop-nulls.ts'

const PROVIDERS = ['sandbox', 'stripe', 'yookassa'] as const

const text = (what: string, max: number) =>
  z
    .string({ error: `${what} must be a string` })
    .min(1, `${what} is empty`)
    .max(max, `${what} is longer than ${max} characters`)

const AMOUNT =
  'an amount is a whole number of minor units above 0, such as 1999 for 19.99 USD; large ones as a string of digits'
const amount = z
  .union([z.int(AMOUNT).positive(AMOUNT), z.string().regex(/^[1-9]\d{0,17}$/, AMOUNT)], { error: AMOUNT })
  .transform((given) => BigInt(given))

const paymentId = z.guid('payment_id must be a UUID: the id of a row in public.payments')

const url = z
  .url({ protocol: /^https?$/, error: 'return_url must be a full http(s) address' })
  .max(2000, 'return_url is longer than 2000 characters')

const METADATA_KEY =
  'a key of metadata has 1 to 32 of A-Z, a-z, 0-9, _ . -, and is not payment_id or confirmed_by_worker'
const metadata = z
  .record(
    z.string().regex(/^(?!(?:payment_id|confirmed_by_worker)$)[\w.-]{1,32}$/),
    text('a value of metadata', 500),
    {
      error: (issue) =>
        issue.code === 'invalid_key' ? METADATA_KEY : 'give metadata as an object of strings',
    },
  )
  .refine((map) => Object.keys(map).length <= 12, 'metadata has more than 12 keys')

const queue = z
  .string({ error: 'notify is the name of a queue' })
  .regex(/^[a-z0-9_-]{1,43}$/, 'notify is no queue name: 1 to 43 of a-z, 0-9, _ and -')

/** Who pays, with address and phone. */
const receipt = z
  .record(z.string(), z.unknown(), { error: 'give receipt as an object' })
  .meta({ sensitive: true })

/** Null counts as absent, because SQL's jsonb_build_object writes nulls. */
const operation = <const Name extends string, Fields extends z.ZodRawShape>(name: Name, fields: Fields) =>
  z.strictObject(
    { operation: z.literal(name), ...fields },
    {
      error: (issue) =>
        issue.code === 'unrecognized_keys'
          ? `unknown key ${issue.keys.map((key) => JSON.stringify(key)).join(', ')} in ${name}; known are: operation, ${Object.keys(fields).join(', ')}`
          : undefined,
    },
  )

const create = operation('create', {
  payment_id: paymentId.nullish(),
  amount: amount.nullish(),
  currency: z
    .enum(CURRENCIES, { error: 'currency is a code of ISO 4217 in capitals, such as EUR' })
    .nullish(),
  capture: z.boolean({ error: 'capture is true or false' }).nullish(),
  provider: z.enum(PROVIDERS, { error: `provider is one of ${PROVIDERS.join(', ')}` }).nullish(),
  reference: text('reference', 200).nullish(),
  description: text('description', 128).nullish(),
  return_url: url.nullish(),
  metadata: metadata.nullish(),
  payment_method: text('payment_method', 200).meta({ sensitive: true }).nullish(),
  customer: text('customer', 200).nullish(),
  receipt: receipt.nullish(),
  notify: queue.nullish(),
})

const change = { payment_id: paymentId }
const schema = z.discriminatedUnion(
  'operation',
  [
    create,
    operation('capture', { ...change, amount: amount.nullish(), receipt: receipt.nullish() }),
    operation('cancel', change),
    operation('refund', {
      ...change,
      amount: amount.nullish(),
      reason: text('reason', 200).nullish(),
      receipt: receipt.nullish(),
    }),
    operation('sync', change),
    operation('notification', {
      provider: z.enum(PROVIDERS, { error: `provider is one of ${PROVIDERS.join(', ')}` }),
      payload: text('payload', 1_000_000).meta({ sensitive: true }),
      signature: text('signature', 2000).meta({ sensitive: true }).nullish(),
    }),
  ],
  {
    error:
      'a payments message is a JSON object whose "operation" is create, capture, cancel, refund, sync or notification',
  },
)

type Given<T> = T extends unknown ? { [K in keyof T]: Exclude<T[K], null> } : never
/** A payload after validation: no key is null, amounts are bigint. */
export type PaymentsPayload = Given<z.output<typeof schema>>
export type Operation<Name extends PaymentsPayload['operation']> = Extract<
  PaymentsPayload,
  { operation: Name }
>

export const paymentsPayload = schema
  .superRefine((given, context) => {
    if (given.operation !== 'create') return
    if ((given.amount ?? null) === null && (given.payment_id ?? null) === null) {
      const message = 'is missing; give amount and currency, or the payment_id of a row in public.payments'
      context.addIssue({ code: 'custom', path: ['amount'], message })
    }
    if (((given.amount ?? null) === null) !== ((given.currency ?? null) === null)) {
      context.addIssue({ code: 'custom', path: ['currency'], message: 'give amount and currency together' })
    }
  })
  .transform((given) => dropNulls(given) as PaymentsPayload)
