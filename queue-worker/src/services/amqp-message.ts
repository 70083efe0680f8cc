/** A message for the broker, and what the broker may answer to it. */
import type { ConfirmChannel, Options } from 'amqplib'

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
 * Gives a message to a channel that has no other one. Whatever the broker says of that channel is then about this message.
 * Throws when it cannot be written at all; never rejects.
 */
export function publishOver(channel: ConfirmChannel, message: AmqpMessage): Promise<Answer> {
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
