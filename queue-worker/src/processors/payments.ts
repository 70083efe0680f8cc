/** The processor of the payments queue. What it promises stands in docs/processors/payments.md. */
import { OutageError, UncertainEffectError, UnrecoverableError } from '../errors.ts'
import type { PaymentProvider, ProviderName } from '../services/payments/contract.ts'
import { defineProcessor, type Processor, type ProcessorContext, type Snooze, snooze } from './define.ts'
import { closed } from './payments-closing.ts'
import {
  cancelAtProvider,
  captureAtProvider,
  createAtProvider,
  notCreated,
  refundAtProvider,
  seeing,
  type Work,
} from './payments-operations.ts'
import { type Operation, type PaymentsPayload, paymentsPayload } from './payments-payload.ts'
import {
  type Change,
  createPaymentsStore,
  type DatabaseCall,
  type PaymentRow,
  type PaymentsStore,
  type Seen,
  toSeen,
} from './payments-store.ts'
import { ageOf, serverWaitSeconds, unlessTooOld } from './server-wait.ts'

/** What waits for its provider for longer is for a person to decide: the customer has gone on. */
const ONE_DAY_SECONDS = 24 * 60 * 60

export type PaymentsProcessorOptions = {
  readonly database: DatabaseCall
  /** Those that are set up. */
  readonly providers: readonly PaymentProvider[]
  /** The one for new payments that name none. */
  readonly defaultProvider: ProviderName
  /** Default `payments`. */
  readonly queue?: string
  /** How long messages wait for a provider that refuses everybody, or is down; default a day. */
  readonly giveUpAfterSeconds?: number
  close?(): Promise<void>
}

export function paymentsProcessor(options: PaymentsProcessorOptions): Processor<PaymentsPayload> {
  const store = createPaymentsStore(options.database)
  return defineProcessor({
    queue: options.queue ?? 'payments',
    payload: paymentsPayload,
    // An hour and a half on average, three at most: long enough for a provider's outage, not too long for one who waits.
    maxAttempts: 20,
    backoff: { baseSeconds: 5, maxSeconds: 900 },
    timeoutMs: 120_000,
    ...(options.close ? { close: options.close } : {}),
    async process(payload, context) {
      try {
        if (payload.operation === 'notification') await hear(payload, context, options, store)
        else await act(payload, context, options, store)
      } catch (error) {
        return outage(error, context, options)
      }
    },
  })
}

/**
 * An outage of the one provider there is holds the queue: it opens the breaker. One of several must not hold up the messages of
 * the others: then each waits for itself. Whatever else was thrown is thrown again.
 */
function outage(
  thrown: unknown,
  context: Pick<ProcessorContext, 'enqueuedAt' | 'logger'>,
  { providers, giveUpAfterSeconds = ONE_DAY_SECONDS }: PaymentsProcessorOptions,
): Snooze {
  const isUncertain = thrown instanceof UncertainEffectError && thrown.cause instanceof OutageError
  const error = unlessTooOld(isUncertain ? thrown.cause : thrown, context, giveUpAfterSeconds)
  const outside = providers.filter(({ name }) => name !== 'sandbox')
  if (!(error instanceof OutageError) || outside.length < 2) throw error
  const seconds = Math.max(error.retryAfterSeconds ?? 0, serverWaitSeconds(ageOf(context.enqueuedAt)))
  context.logger.warn({ err: error }, `the message waits ${seconds} s for its provider`)
  return snooze(seconds)
}

async function act(
  payload: Exclude<PaymentsPayload, { operation: 'notification' }>,
  context: ProcessorContext,
  options: PaymentsProcessorOptions,
  store: PaymentsStore,
): Promise<void> {
  const { operation } = payload
  const own = { originKey: context.originKey, operation }
  const described = operation === 'create' ? description(payload, options.defaultProvider) : undefined
  const { payment, done, windows } = await store.begin(own, payload.payment_id, described)
  if (payment === null) throw new Error(`There is no payment ${payload.payment_id} in public.payments (yet).`)
  if (done !== null) return tell(payment, done, context)
  if (operation === 'create' && payment.status !== 'new') {
    return context.logger.info({ payment_id: payment.id }, 'the payment was created by an earlier message')
  }
  const provider = providerOf(payment.provider ?? options.defaultProvider, options)
  const seen = await perform(payload, { act: own, payment, provider, store, context, windows })
  const { payment: after, change } = await store.apply(own, payment.id, seen)
  if (after !== null && change !== null) tell(after, change, context)
}

function perform(
  payload: Exclude<PaymentsPayload, { operation: 'notification' }>,
  work: Work,
): Promise<Seen> {
  if (payload.operation === 'create') return createAtProvider(work, payload)
  if (payload.operation === 'sync') return seeing(work)
  const id = work.payment.provider_id
  if (id === null) throw notCreated(work.payment)
  if (payload.operation === 'capture') return captureAtProvider({ ...work, id }, payload)
  return payload.operation === 'cancel'
    ? cancelAtProvider({ ...work, id })
    : refundAtProvider({ ...work, id }, payload)
}

/** A notification says that there is something to see; what it is, is asked. */
async function hear(
  { provider: name, payload: body, signature }: Operation<'notification'>,
  context: ProcessorContext,
  options: PaymentsProcessorOptions,
  store: PaymentsStore,
): Promise<void> {
  const provider = providerOf(name, options)
  const { payment: shown, ...event } = await provider.verify({ body, signature }, context.signal)
  const about = { event: event.id, type: event.type }
  if (shown === null)
    return context.logger.info(about, 'this kind of notification is not about a payment: ignored')
  const own = { originKey: context.originKey, operation: 'notification' }
  const { payment, change } = await store.apply(own, shown.paymentId, toSeen(name, shown), event)
  if (payment === null || change === null) {
    return context.logger.info({ ...about, provider_id: shown.id }, 'a payment that is not ours: ignored')
  }
  await closed(provider, shown, context)
  tell(payment, change, context)
}

/** The follow-up goes out with this message's success; a redelivery, which finds the change made, sends it again. */
function tell(payment: PaymentRow, change: Change, context: ProcessorContext): void {
  const { id, status, notify } = payment
  context.logger.info({ payment_id: id, status, outcome: change.outcome }, `payment ${id} is ${status}`)
  if (notify === null || change.outcome !== 'applied' || change.origin_key !== context.originKey) return
  context.send(notify, {
    payment_id: id,
    reference: payment.reference,
    provider: payment.provider,
    status: change.after,
    previous_status: change.before,
    amount: `${payment.amount}`,
    captured_amount: `${payment.captured_amount}`,
    refunded_amount: `${payment.refunded_amount}`,
    currency: payment.currency,
    confirmation_url: payment.confirmation_url,
    error: payment.last_error,
  })
}

function providerOf(name: ProviderName, { providers }: PaymentsProcessorOptions): PaymentProvider {
  const found = providers.find((provider) => provider.name === name)
  if (found !== undefined) return found
  const known = providers.map((provider) => provider.name).join(', ')
  throw new UnrecoverableError(
    `The payment provider ${name} is not set up (there is: ${known}). Set its keys, see docs/processors/payments.md, and redrive this message.`,
  )
}

/** What the row is to say, if this message makes it. */
function description(payload: Operation<'create'>, defaultProvider: ProviderName) {
  const { amount, currency, capture, reference, metadata, notify, provider } = payload
  return {
    amount: amount?.toString(),
    currency,
    capture,
    reference,
    description: payload.description,
    metadata,
    notify,
    provider: provider ?? defaultProvider,
  }
}
