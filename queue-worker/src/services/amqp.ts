/** Publishes to an AMQP 0-9-1 broker with confirms. One connection per publisher. */
import type { Logger } from 'pino'
import type { AmqpAddress } from '../config/amqp-url.ts'
import { coerceError } from '../errors.ts'
import { followAbort } from '../utils/follow-abort.ts'
import { unlessAborted } from '../utils/unless-aborted.ts'
import { createBrokerClient } from './amqp-client.ts'
import { noConfirm, publishFailure } from './amqp-failures.ts'
import { keepSession } from './amqp-keeper.ts'
import { type AmqpMessage, publishThrough } from './amqp-message.ts'
import { blockedFailure, slowFailure } from './amqp-outage.ts'
import type { Session } from './amqp-session.ts'
import { outageLog } from './outage.ts'

export type PublisherSettings = {
  readonly address: AmqpAddress
  /** PEM file with further authorities to trust, beside the system's. */
  readonly caFile?: string | undefined
  /** From the name's lookup to the open connection; default 30 000. */
  readonly connectTimeoutMs?: number | undefined
  /** From there to the broker's confirm, waiting for a broker that is short of memory or disk included; default 30 000. */
  readonly answerTimeoutMs?: number | undefined
  /** An abort that comes when the message is already given away waits this long for the confirm; default 1000. */
  readonly abortGraceMs?: number | undefined
  /** Without messages for this long the connection is closed; default 60 000. */
  readonly idleTimeoutMs?: number | undefined
}

export type Publisher = {
  /** host:port, for logs. */
  readonly target: string
  /**
   * Resolves when the broker confirmed the message. Throws BrokerError (the broker cannot be used now), UnrecoverableError
   * (the message can never be published), Error (unroutable, refused for now, given away and not confirmed).
   */
  publish(message: AmqpMessage, options?: { readonly signal?: AbortSignal }): Promise<void>
  close(): Promise<void>
}

/** Throws SetupError for a CA file that cannot be used. Connects only when there is something to publish. */
export function createPublisher(
  settings: PublisherSettings,
  log?: Pick<Logger, 'info' | 'error'>,
): Publisher {
  const { answerTimeoutMs = 30_000, abortGraceMs = 1000, idleTimeoutMs = 60_000 } = settings
  const { target, open } = createBrokerClient(
    settings.address,
    settings.caFile,
    settings.connectTimeoutMs ?? 30_000,
  )
  const outage = outageLog({ field: 'amqp', name: 'AMQP broker', target: target.name }, log)
  const keeper = keepSession(open, idleTimeoutMs)

  async function publish(message: AmqpMessage, signal: AbortSignal): Promise<void> {
    const session = await unlessAborted(keeper.session(), signal)
    const patience = new AbortController()
    let isGiven = false
    const onGiven = () => {
      isGiven = true
    }
    const unfollow = followAbort(patience, signal, () => (isGiven ? abortGraceMs : 0))
    const limit = setTimeout(() => patience.abort(tooLate(session, message, isGiven)), answerTimeoutMs)
    try {
      const answer = await publishThrough(session, message, target, patience.signal, onGiven)
      if (answer.kind !== 'lost') outage.over()
      const failure = publishFailure(answer, message, target, session.ended())
      if (failure !== undefined) throw failure
    } finally {
      clearTimeout(limit)
      unfollow()
    }
  }

  function tooLate(session: Session, message: AmqpMessage, isGiven: boolean): Error {
    const reason = session.blocked()
    if (reason !== undefined) return blockedFailure(reason, target)
    return isGiven ? noConfirm(message, target, answerTimeoutMs) : slowFailure(answerTimeoutMs, target)
  }

  return {
    target: target.name,
    async publish(message, { signal = new AbortController().signal } = {}) {
      const release = keeper.use()
      try {
        await publish(message, signal)
      } catch (thrown) {
        throw outage.seen(coerceError(thrown))
      } finally {
        release()
      }
    },
    close: () => keeper.close(),
  }
}
