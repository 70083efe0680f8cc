/** The settings of payments: which providers are set up, and what is missing of them. */
import { isLoopback } from '../utils/loopback.ts'
import type { Gathered, Problem } from './gather.ts'
import type { Config } from './types.ts'

/** Payments are worked on when PAYMENTS_PROVIDER is set or QUEUES names their queue. */
export function paymentSettings({ values }: Pick<Gathered, 'values'>): Config['payments'] {
  const isWanted = values.PAYMENTS_PROVIDER !== undefined || values.QUEUES?.includes('payments')
  if (!isWanted) return null
  const { STRIPE_SECRET_KEY: stripeKey, YOOKASSA_SHOP_ID: shopId, YOOKASSA_SECRET_KEY: yookassaKey } = values
  return {
    provider: values.PAYMENTS_PROVIDER ?? 'sandbox',
    stripe:
      stripeKey === undefined
        ? undefined
        : { key: stripeKey, webhookSecret: values.STRIPE_WEBHOOK_SECRET, url: values.STRIPE_API_URL },
    yookassa:
      shopId === undefined || yookassaKey === undefined
        ? undefined
        : { shopId, key: yookassaKey, url: values.YOOKASSA_API_URL },
  }
}

/** What keeps the providers from working, and what may be meant otherwise. */
export function paymentRules(gathered: Gathered): { problems: Problem[]; warnings: string[] } {
  const { values } = gathered
  const payments = paymentSettings(gathered)
  const problems: Problem[] = []
  const warnings: string[] = []
  const missing = (name: string, what: string) =>
    problems.push({ name, wrong: `is missing; allowed: ${what}` })
  const { YOOKASSA_SHOP_ID: shopId, YOOKASSA_SECRET_KEY: key } = values
  const usesYookassa = values.PAYMENTS_PROVIDER === 'yookassa'
  if (values.PAYMENTS_PROVIDER === 'stripe' && values.STRIPE_SECRET_KEY === undefined) {
    missing('STRIPE_SECRET_KEY', 'the secret key (sk_… or rk_…) from Stripe > Developers > API keys')
  }
  if (shopId === undefined && (usesYookassa || key !== undefined)) {
    missing('YOOKASSA_SHOP_ID', 'the shopId of the shop')
  }
  if (key === undefined && (usesYookassa || shopId !== undefined)) {
    missing('YOOKASSA_SECRET_KEY', 'the secret key from YooKassa > Integration > API keys')
  }
  for (const name of ['STRIPE_API_URL', 'YOOKASSA_API_URL'] as const) {
    const wrong = addressProblem(values[name])
    if (wrong !== undefined) problems.push({ name, wrong })
  }
  if (payments?.provider === 'sandbox' && values.NODE_ENV === 'production') {
    if (values.PAYMENTS_PROVIDER === undefined) {
      missing(
        'PAYMENTS_PROVIDER',
        'stripe or yookassa; sandbox, where no money moves, has to be asked for in production',
      )
    } else warnings.push('PAYMENTS_PROVIDER is sandbox in production: no money moves')
  }
  return { problems, warnings }
}

/** The key goes wherever this leads, so nobody may listen on the way. */
function addressProblem(url: string): string | undefined {
  const parsed = URL.parse(url)
  const allowed = 'allowed: https://host[:port], or http:// to this machine itself'
  if (parsed === null || !/^https?:$/.test(parsed.protocol)) return `is not an address; ${allowed}`
  if (parsed.username !== '' || parsed.password !== '') return `has a login in it; ${allowed}`
  if (parsed.protocol === 'http:' && !isLoopback(parsed.hostname))
    return `is http:// on another host, so the secret key would travel unencrypted; ${allowed}`
  return undefined
}
