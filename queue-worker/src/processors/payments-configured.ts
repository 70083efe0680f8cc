/** The payments processor as the settings ask for it. */
import type { Config } from '../config.ts'
import type { PaymentProvider } from '../services/payments/contract.ts'
import { sandboxProvider } from '../services/payments/sandbox.ts'
import type { Processor } from './define.ts'
import { ownConnection } from './own-connection.ts'
import { paymentsProcessor } from './payments.ts'
import type { DatabaseCall } from './payments-store.ts'

type Settings = NonNullable<Config['payments']>

/** `database` is the worker's own connection; without it, as in the child process, there is another. */
export async function payments(
  config: Config,
  settings: Settings,
  queue: string,
  database?: DatabaseCall,
): Promise<Processor> {
  const own = ownConnection(config)
  const call = database ?? own.call
  // Where money is real, nobody is to pay with play money.
  const hasSandbox = settings.provider === 'sandbox' || !config.production
  return paymentsProcessor({
    database: call,
    providers: [...(hasSandbox ? [sandboxProvider(call)] : []), ...(await outsideProviders(settings))],
    defaultProvider: settings.provider,
    queue,
    close: own.close,
  })
}

/** Those with keys of ours. Loaded only when they are set up: Stripe's library is large. */
export async function outsideProviders({ stripe, yookassa }: Settings): Promise<PaymentProvider[]> {
  const providers: PaymentProvider[] = []
  if (stripe !== undefined) {
    const { stripeProvider } = await import('../services/payments/stripe.ts')
    providers.push(stripeProvider(stripe))
  }
  if (yookassa !== undefined) {
    const { yookassaProvider } = await import('../services/payments/yookassa.ts')
    providers.push(yookassaProvider(yookassa))
  }
  return providers
}
