/** The queue, with every call told to the outage's account when it is sent: one that hangs tells of itself by nothing else. */
import { ConnectionFailure } from '../errors.ts'
import type { Queue } from '../queue/contract.ts'
import type { Outage } from './outage.ts'

/**
 * Without reads and settles the worker does not work, whatever else is answered. Of the rest a call that hangs says
 * something only as long as nothing at all is answered; a heartbeat that does is followed by another beside it.
 */
export function watched(queue: Queue, outage: Pick<Outage, 'sent'>): Queue {
  const essential = true
  const watch = <T>(kind: string, isEssential: boolean, call: Promise<T>) =>
    watchedCall(outage, kind, isEssential, call)
  return {
    ...queue,
    read: (...given) => watch('read', essential, queue.read(...given)),
    exchange: (...given) => watch('read', essential, queue.exchange(...given)),
    settle: (...given) => watch('settle', essential, queue.settle(...given)),
    extend: (...given) => watch('extend', !essential, queue.extend(...given)),
    isolate: (...given) => watch('isolate', !essential, queue.isolate(...given)),
    ledgerStart: (...given) => watch('ledger', !essential, queue.ledgerStart(...given)),
    ledgerFinish: (...given) => watch('ledger', !essential, queue.ledgerFinish(...given)),
    ledgerForget: (...given) => watch('ledger', !essential, queue.ledgerForget(...given)),
    beat: (...given) => watch('beat', !essential, queue.beat(...given)),
  }
}

/** The answer to a call that was just sent, told to the account when it has ended. */
export async function watchedCall<T>(
  outage: Pick<Outage, 'sent'>,
  kind: string,
  isEssential: boolean,
  call: Promise<T>,
): Promise<T> {
  const ended = outage.sent(kind, isEssential)
  try {
    const answer = await call
    ended(true)
    return answer
  } catch (error) {
    // Whoever refuses a call has answered it.
    ended(!(error instanceof ConnectionFailure) || !error.transient || error.kind === 'rejected')
    throw error
  }
}
