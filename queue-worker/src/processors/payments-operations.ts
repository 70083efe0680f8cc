/**
 * What a message does at a provider, so that money moves once whatever happens: each call is written down in the database
 * first, and when its end is not known, the provider is asked before anything is asked of it again.
 */
import { UnrecoverableError } from '../errors.ts'
import {
  type Call,
  KeySpentError,
  type PaymentProvider,
  type ProviderPayment,
  type Window,
} from '../services/payments/contract.ts'
import type { ProcessorContext } from './define.ts'
import { closed } from './payments-closing.ts'
import type { Operation } from './payments-payload.ts'
import {
  type Act,
  type CallDetails,
  type MadeCall,
  type PaymentRow,
  type PaymentsStore,
  type Seen,
  toSeen,
} from './payments-store.ts'

/** One message at work on one payment. */
export type Work = {
  readonly act: Act
  readonly payment: PaymentRow
  readonly provider: PaymentProvider
  readonly store: PaymentsStore
  /** When a provider was asked to create it. */
  readonly windows: readonly Window[]
  readonly context: Pick<ProcessorContext, 'once' | 'signal' | 'logger' | 'originKey' | 'attempt'>
}
type Changing = Work & { readonly id: string }

/** Creates the payment at the provider; returns where it is then. */
export async function createAtProvider(work: Work, payload: Operation<'create'>): Promise<Seen> {
  const { payment, provider, context } = work
  const wanted = {
    paymentId: payment.id,
    amount: payment.amount,
    currency: payment.currency,
    capture: payment.capture,
    description: payment.description ?? undefined,
    returnUrl: payload.return_url,
    metadata: textsOf(payment.metadata),
    paymentMethod: payload.payment_method,
    customer: payload.customer,
    receipt: payload.receipt,
  }
  const found = await step(work, async () => {
    const made = await work.store.call(work.act, payment.id)
    if (made === null) return null
    // An earlier call may have got through, or may not: its key can have expired since.
    const before = made.is_first ? null : await lookedFor(work, made.windows)
    // Refused when it is about another amount.
    if (before !== null) await work.store.call(work.act, payment.id, { seen: toSeen(provider.name, before) })
    const shown = before ?? (await calling(work, made, {}, (call) => provider.create(wanted, call)))
    return closed(provider, shown, context)
  })
  if (found !== null) return found
  throw new Error(`Payment ${payment.id} was created by another message meanwhile.`)
}

/** Captures what is held, `amount` of it if it is given. */
export async function captureAtProvider(work: Changing, payload: Operation<'capture'>): Promise<Seen> {
  const { payment, provider, id } = work
  const { currency } = payment
  const amount = payload.amount ?? payment.amount
  return changed(work, amount, (call) =>
    provider.capture({ id, amount, currency, receipt: payload.receipt }, call),
  )
}

/** Cancels a payment of which nothing was captured. */
export async function cancelAtProvider(work: Changing): Promise<Seen> {
  return changed(work, undefined, (call) => work.provider.cancel({ id: work.id }, call))
}

/** Gives money back, `amount` of it or all that is left; returns where the payment is then. */
export async function refundAtProvider(work: Changing, payload: Operation<'refund'>): Promise<Seen> {
  const { payment, provider, context, id } = work
  const reference = context.originKey
  const refund = await context.once(
    'refund',
    async () => {
      const before = await provider.findRefund({ id, reference }, context.signal)
      if (before !== null) return before
      const now = await provider.read(id, context.signal)
      const amount = payload.amount ?? now.captured - now.refunded
      const details = { seen: toSeen(provider.name, now), amount }
      const made = await work.store.call(work.act, payment.id, details)
      if (made === null) throw new Error('there is no call to refund with')
      const { reason, receipt } = payload
      const wanted = { id, amount, currency: payment.currency, reference, reason, receipt }
      return calling(work, made, details, (call) => provider.refund(wanted, call))
    },
    { uncertain: 'repeat' },
  )
  const seen = await seeing(work)
  if (refund.status === 'succeeded') return seen
  const why = refund.error === undefined ? '' : `: ${refund.error}`
  const error = refund.status === 'failed' ? `refund ${refund.id} failed${why}` : null
  if (error === null) context.logger.info({ refund: refund.id }, 'the refund is under way at the provider')
  return { ...seen, error: error ?? seen.error }
}

/** Where the payment is at the provider now; one whose creation was never answered is looked for. */
export async function seeing(work: Work): Promise<Seen> {
  const { provider, payment, context, windows } = work
  const { provider_id: id } = payment
  const shown = id === null ? await lookedFor(work, windows) : await provider.read(id, context.signal)
  if (shown === null) throw notCreated(payment)
  return toSeen(provider.name, await closed(provider, shown, context))
}

/** Only among the payments created when it was asked for: there may be weeks between. */
async function lookedFor({ provider, payment, context }: Work, windows: readonly Window[]) {
  for (const window of windows) {
    const found = await provider.find(payment.id, window, context.signal)
    if (found !== null) return found
  }
  return null
}

/** It may be on its way: a message that comes too early is tried again. */
export function notCreated(payment: Pick<PaymentRow, 'id'>): Error {
  return new Error(`Payment ${payment.id} has not been created at its provider yet.`)
}

/** A change that can be seen at the payment: asked for when it is not there yet. */
async function changed(
  work: Changing,
  amount: bigint | undefined,
  change: (call: Call) => Promise<ProviderPayment>,
): Promise<Seen> {
  const found = await step(work, async () => {
    const now = await closed(
      work.provider,
      await work.provider.read(work.id, work.context.signal),
      work.context,
    )
    const details = { seen: toSeen(work.provider.name, now), ...(amount === undefined ? {} : { amount }) }
    const made = await work.store.call(work.act, work.payment.id, details)
    return made === null ? now : calling(work, made, details, change)
  })
  if (found !== null) return found
  throw new UnrecoverableError('the provider showed no payment')
}

/** Kept in the ledger once its end is known; until then it may run again, as it asks before it acts. */
function step(
  { act, provider, context }: Work,
  run: () => Promise<ProviderPayment | null>,
): Promise<Seen | null> {
  const seen = async () => {
    const payment = await run()
    return payment === null ? null : toSeen(provider.name, payment)
  }
  return context.once(act.operation, seen, { uncertain: 'repeat' })
}

async function calling<T>(
  { store, act, payment, context }: Work,
  made: MadeCall,
  details: CallDetails,
  run: (call: Call) => Promise<T>,
): Promise<T> {
  try {
    return await run({ key: made.key, signal: context.signal })
  } catch (error) {
    // The next delivery asks what became of it, and only when there is nothing takes the new key.
    if (error instanceof KeySpentError)
      await store.call(act, payment.id, { ...details, spent: made.generation })
    throw error
  }
}

function textsOf(metadata: Readonly<Record<string, unknown>>): Record<string, string> {
  const text = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value))
  return Object.fromEntries(Object.entries(metadata).map(([key, value]) => [key, text(value)]))
}
