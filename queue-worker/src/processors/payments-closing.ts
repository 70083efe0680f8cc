/** Closes at the provider what has failed there and could still be paid, whoever sees it first. */
import { createHash } from 'node:crypto'
import { UnrecoverableError } from '../errors.ts'
import type { PaymentProvider, ProviderPayment } from '../services/payments/contract.ts'
import type { ProcessorContext } from './define.ts'

/** Returns the payment as it is then. Throws when it could not be closed: the message is to be tried again. */
export async function closed(
  provider: PaymentProvider,
  shown: ProviderPayment,
  { originKey, attempt, signal }: Pick<ProcessorContext, 'originKey' | 'attempt' | 'signal'>,
): Promise<ProviderPayment> {
  if (!shown.isOpen) return shown
  const { id } = shown
  // Another key for another attempt: the provider may have kept a failure for this one, and closing twice does no harm.
  const key = createHash('sha256').update(`${originKey}/close/${id}/${attempt}`).digest('hex').slice(0, 40)
  try {
    return await provider.cancel({ id }, { key, signal })
  } catch (error) {
    if (!(error instanceof UnrecoverableError)) throw error
    // Another message has closed it meanwhile.
    const now = await provider.read(id, signal)
    if (now.isOpen) throw error
    return now
  }
}
