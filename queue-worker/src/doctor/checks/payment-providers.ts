/** Whether the payment providers take our keys: each is asked for a payment that does not exist. */
import { coerceError, UnrecoverableError } from '../../errors.ts'
import { outsideProviders } from '../../processors/payments-configured.ts'
import {
  KeyRefusedError,
  PatienceAskedError,
  type PaymentProvider,
} from '../../services/payments/contract.ts'
import { defineCheck } from '../finding.ts'
import type { Parts } from '../parts.ts'

const NOBODYS = {
  stripe: 'pi_queue_worker_doctor',
  yookassa: '00000000-0000-4000-8000-000000000000',
  sandbox: '',
}
const KEYS = {
  stripe: 'STRIPE_SECRET_KEY (Stripe > Developers; a restricted key needs PaymentIntents and Refunds)',
  yookassa: 'YOOKASSA_SHOP_ID and YOOKASSA_SECRET_KEY (YooKassa > Integration)',
  sandbox: 'nothing',
}
const LIMIT_MS = 15_000

export const paymentProviders = defineCheck({
  name: 'payment-providers',
  group: 'Other systems',
  limitMs: 2 * LIMIT_MS + 5000,
  catalog: {
    provider_ok: { severity: 'ok', why: '' },
    provider_key_refused: { severity: 'error', why: 'No payment can be made, captured or refunded with it.' },
    provider_unreachable: { severity: 'error', why: 'Payments wait in their queue until it answers.' },
    webhook_secret_missing: {
      severity: 'warning',
      why: 'Notifications of Stripe cannot be verified, so all of them become dead letters.',
    },
  },
  async run({ config: { payments } }: Parts, tell) {
    if (payments === null) return []
    const found = []
    for (const provider of await outsideProviders(payments)) {
      const refused = await refusal(provider)
      const { name } = provider
      if (refused === null) found.push(tell('provider_ok', `${name} takes our key`))
      else if (isOrHas(KeyRefusedError, refused))
        found.push(tell('provider_key_refused', refused.message, `Check ${KEYS[name]}.`))
      else
        found.push(
          tell(
            'provider_unreachable',
            refused.message,
            'Check the network of this machine, and its status page.',
          ),
        )
    }
    if (payments.stripe !== undefined && payments.stripe.webhookSecret === undefined) {
      const how = 'Set STRIPE_WEBHOOK_SECRET to the signing secret (whsec_…) of your webhook endpoint.'
      found.push(tell('webhook_secret_missing', 'STRIPE_WEBHOOK_SECRET is not set', how))
    }
    return found
  },
})

/** Itself or among its causes: an outage carries why. */
function isOrHas(kind: new (text: string) => Error, error: unknown): boolean {
  return error instanceof kind || (error instanceof Error && isOrHas(kind, error.cause))
}

/** Null when the key was taken: a payment that nobody made cannot be shown, and patience is asked of those let in. */
async function refusal(provider: PaymentProvider): Promise<Error | null> {
  try {
    await provider.read(NOBODYS[provider.name], AbortSignal.timeout(LIMIT_MS))
    return null
  } catch (thrown) {
    const error = coerceError(thrown)
    return error instanceof UnrecoverableError || isOrHas(PatienceAskedError, error) ? null : error
  }
}
