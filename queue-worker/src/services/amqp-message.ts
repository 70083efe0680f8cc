/** A message for the broker, and what the broker may answer to it. */
import type { ConfirmChannel, Options } from 'amqplib'
import { coerceError, UnrecoverableError } from '../errors.ts'
import { unlessAborted } from '../utils/unless-aborted.ts'
import { type BrokerTarget, brokerFailure } from './amqp-outage.ts'
import type { Session } from './amqp-session.ts'

export type AmqpMessage = {
  /** Empty: the default exchange, where the routing key is the name of a queue. */
  readonly exchange: string
  readonly routingKey: string
  readonly content: Buffer
  readonly messageId: string
  readonly timestamp: Date
  readonly headers: Readonly<Record<string, unknown>>
  readonly contentType: string
  readonly contentEncoding: string | undefined
  readonly priority: number | undefined
  /** Milliseconds. */
  readonly expiration: number | undefined
  readonly type: string | undefined
  readonly correlationId: string | undefined
  readonly replyTo: string | undefined
  readonly appId: string | undefined
}

export type Answer =
  /** The broker has it in every queue that it was routed to, on disk where that is durable. */
  | { readonly kind: 'confirmed' }
  /** No queue takes it. */
  | { readonly kind: 'returned' }
  | { readonly kind: 'nacked' }
  /** The broker closed the channel because of it. */
  | { readonly kind: 'refused'; readonly code: number; readonly reply: string }
  /** The channel ended without an answer. */
  | { readonly kind: 'lost' }

/**
 * Gives a message to the broker and waits for its answer. `patience` ends the wait, `onGiven` is told when the message is
 * given away. Throws BrokerError (no channel), UnrecoverableError (cannot be written), or the reason of `patience`.
 */
export async function publishThrough(
  session: Session,
  message: AmqpMessage,
  target: BrokerTarget,
  patience: AbortSignal,
  onGiven: () => void,
): Promise<Answer> {
  await unlessAborted(session.takesMessages(), patience)
  const channel = await takeChannel(session, target, patience)
  try {
    const answering = publishOver(channel, message)
    onGiven()
    return await unlessAborted(answering, patience)
  } catch (thrown) {
    session.discard(channel)
    const ended = session.ended()
    if (patience.aborted) throw thrown
    if (ended !== undefined) throw brokerFailure(ended, target)
    // The client's for values that the wire cannot carry, before anything of the message is written.
    if (thrown instanceof RangeError || thrown instanceof TypeError) {
      const what = `The message cannot be written for the AMQP broker: ${thrown.message}`
      throw new UnrecoverableError(what, { cause: thrown })
    }
    throw thrown
  } finally {
    session.giveBack(channel)
  }
}

async function takeChannel(
  session: Session,
  target: BrokerTarget,
  patience: AbortSignal,
): Promise<ConfirmChannel> {
  const taking = session.take()
  try {
    return await unlessAborted(taking, patience)
  } catch (thrown) {
    taking.then(session.giveBack, () => {})
    if (patience.aborted) throw thrown
    throw brokerFailure(session.ended() ?? coerceError(thrown), target)
  }
}

/**
 * On a channel that has no other message: whatever the broker says of the channel is then about this one. Throws when it
 * cannot be written; never rejects.
 */
function publishOver(channel: ConfirmChannel, message: AmqpMessage): Promise<Answer> {
  const { exchange, routingKey, content } = message
  const { promise, resolve } = Promise.withResolvers<Answer>()
  let returned = false
  let refusal: Answer | undefined
  const onReturn = () => {
    returned = true
  }
  const onError = (error: Error & { code?: number }) => {
    refusal = { kind: 'refused', code: error.code ?? 0, reply: error.message }
  }
  const onAnswer = (error: Error | null) => {
    stopListening()
    if (error === null) return resolve({ kind: returned ? 'returned' : 'confirmed' })
    // The client's words; the other ones are those of a channel that was closed.
    resolve(error.message === 'message nacked' ? { kind: 'nacked' } : (refusal ?? { kind: 'lost' }))
  }
  const stopListening = () => channel.off('return', onReturn).off('error', onError)
  channel.on('return', onReturn).on('error', onError)
  try {
    channel.publish(exchange, routingKey, content, propertiesOf(message), onAnswer)
  } catch (error) {
    stopListening()
    throw error
  }
  return promise
}

function propertiesOf(message: AmqpMessage): Options.Publish {
  const { exchange, routingKey, content, timestamp, ...properties } = message
  const given = Object.entries(properties).filter(([, value]) => value !== undefined)
  return {
    ...Object.fromEntries(given),
    timestamp: Math.floor(timestamp.getTime() / 1000),
    persistent: true,
    mandatory: true,
  }
}
