/** What the payments processor needs of a payment provider. One conformance suite holds all of them to it. */

export type ProviderName = 'sandbox' | 'stripe' | 'yookassa'

/**
 * A payment as its provider shows it now. Amounts are in minor units of the currency. `status` knows nothing of refunds:
 * a refunded payment has succeeded, and `refunded` says how much of it went back.
 */
export type ProviderPayment = {
  readonly id: string
  readonly status: 'pending' | 'authorized' | 'succeeded' | 'canceled' | 'failed'
  /** What it is about. YooKassa: after a part was captured, that part. */
  readonly amount: bigint
  readonly currency: string
  readonly captured: bigint
  readonly refunded: bigint
  /** Our id of it, as it was given with `create`. */
  readonly paymentId?: string | undefined
  /** Where the customer goes on. */
  readonly confirmationUrl?: string | undefined
  /** With which a page of the customer's goes on (Stripe). */
  readonly clientSecret?: string | undefined
  /** Why it failed or was canceled. */
  readonly error?: string | undefined
  /** It failed, and could still be paid: to be closed with `cancel`. */
  readonly isOpen?: boolean
}

export type ProviderRefund = {
  readonly id: string
  readonly status: 'pending' | 'succeeded' | 'failed'
  readonly error?: string | undefined
}

/** A span of time. */
export type Window = { readonly from: Date; readonly to: Date }

/** One call that may move money. The same key again never moves it twice. */
export type Call = { readonly key: string; readonly signal: AbortSignal }

export type CreatePayment = {
  readonly paymentId: string
  readonly amount: bigint
  readonly currency: string
  /** False: the money is held until it is captured. */
  readonly capture: boolean
  readonly description?: string | undefined
  readonly returnUrl?: string | undefined
  readonly metadata: Readonly<Record<string, string>>
  /** The provider's id of a way to pay that was given before. */
  readonly paymentMethod?: string | undefined
  readonly customer?: string | undefined
  /** For the provider as it is (YooKassa's receipts). */
  readonly receipt?: Readonly<Record<string, unknown>> | undefined
}

/** What is to be done to a payment that the provider has under `id`. */
export type ChangePayment = {
  readonly id: string
  readonly amount: bigint
  readonly currency: string
  readonly receipt?: Readonly<Record<string, unknown>> | undefined
}

export type RefundPayment = ChangePayment & {
  /** Ours, by which `findRefund` finds it again. */
  readonly reference: string
  readonly reason?: string | undefined
}

/** A notification as it came: the body unchanged, and its signature where the provider signs. */
export type Notification = { readonly body: string; readonly signature?: string | undefined }

/** What a notification says that can be trusted: that something happened to this payment. What, is to be read. */
export type ProviderEvent = {
  /** Unique at the provider: the same event again has the same. */
  readonly id: string
  readonly type: string
  readonly at?: Date | undefined
  /** The payment as the provider shows it now; null: the event is about no payment. */
  readonly payment: ProviderPayment | null
}

/**
 * All of it throws: UncertainEffectError when nobody knows whether it was done; OutageError when the provider refuses everybody, or is
 * down, and it was not done (or as the cause of the former); Error when it was not done and may be later; UnrecoverableError when it can never be; KeySpentError. A payment or a refund that is declined is an answer.
 */
export type PaymentProvider = {
  readonly name: ProviderName
  create(payment: CreatePayment, call: Call): Promise<ProviderPayment>
  /** Captures `amount`; what is held beyond it is given back. */
  capture(change: ChangePayment, call: Call): Promise<ProviderPayment>
  cancel(change: Pick<ChangePayment, 'id'>, call: Call): Promise<ProviderPayment>
  refund(refund: RefundPayment, call: Call): Promise<ProviderRefund>
  read(id: string, signal: AbortSignal): Promise<ProviderPayment>
  /** A payment by our id, if one was created within this time; null: there is none. */
  find(paymentId: string, within: Window, signal: AbortSignal): Promise<ProviderPayment | null>
  findRefund(
    wanted: Pick<RefundPayment, 'id' | 'reference'>,
    signal: AbortSignal,
  ): Promise<ProviderRefund | null>
  /** @throws UnrecoverableError for a notification that this provider did not send, or that cannot be read. */
  verify(notification: Notification, signal: AbortSignal): Promise<ProviderEvent>
}

/** The provider has stored an error of its own for this key and will repeat it: ask what happened, then take another key. */
export class KeySpentError extends Error {
  override readonly name: string = 'KeySpentError'
}

/** The provider does not know our key, or it may not do this. */
export class KeyRefusedError extends Error {
  override readonly name: string = 'KeyRefusedError'
}

/** The provider knows our key, and asks for fewer calls. */
export class PatienceAskedError extends Error {
  override readonly name: string = 'PatienceAskedError'
}
