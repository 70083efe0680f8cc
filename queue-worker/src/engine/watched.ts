/** The queue, with every call told to the outage's account when it is sent: one that hangs tells of itself by nothing else. */
import { ConnectionFailure } from '../errors.ts'
import type { Queue } from '../queue/contract.ts'
import type { Emit } from './events.ts'
import type { Outage } from './outage.ts'
import type { CallKind } from './part-health.ts'

type Watching = { readonly outage: Pick<Outage, 'sent'>; readonly emit: Emit }

/**
 * Without reads and settles the worker does not work, whatever else is answered. Of the rest a call that hangs says
 * something only as long as nothing at all is answered; a heartbeat that does is followed by another beside it.
 */
export function watched(queue: Queue, watching: Watching): Queue {
  const essential = true
  const watch = <T>(kind: CallKind, isEssential: boolean, call: Promise<T>) =>
    watchedCall(watching, kind, isEssential, call)
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
  { outage, emit }: Watching,
  kind: CallKind,
  isEssential: boolean,
  call: Promise<T>,
): Promise<T> {
  const sentAtMs = performance.now()
  const ended = outage.sent(kind, isEssential)
  const tell = (failure: ConnectionFailure | null) =>
    emit('called', { call: kind, durationMs: performance.now() - sentAtMs, failure })
  try {
    const answer = await call
    ended(true)
    tell(null)
    return answer
  } catch (error) {
    // Whoever refuses a call has answered it.
    ended(!(error instanceof ConnectionFailure) || !error.transient || error.kind === 'rejected')
    if (error instanceof ConnectionFailure) tell(error)
    throw error
  }
}
