/** From what the broker answered to a message to the error that says what becomes of it. Pure. */
import { UnrecoverableError } from '../errors.ts'
import type { AmqpMessage, Answer } from './amqp-message.ts'
import { type BrokerTarget, brokerFailure, oneLine } from './amqp-outage.ts'

type Address = Pick<AmqpMessage, 'exchange' | 'routingKey'>

/** Said by a broker that is told to stop, or to close the connection: no message's doing. */
const CONNECTION_FORCED = 320
const NOT_FOUND = 404
const ACCESS_REFUSED = 403
/** Too large, a property that makes no sense: the same message would get the same answer. */
const ABOUT_THE_MESSAGE = new Set([311, 406])

/**
 * Undefined for a message that arrived. `ended` is why the connection is no more, if so. UnrecoverableError: never
 * tried again; BrokerError: no message's fault; Error: a failure of this message.
 */
export function publishFailure(
  answer: Answer,
  message: Address,
  target: BrokerTarget,
  ended: Error | undefined,
): Error | undefined {
  switch (answer.kind) {
    case 'confirmed':
      return undefined
    case 'returned':
      return new Error(unroutable(message, target))
    case 'nacked': {
      const what = `The AMQP broker ${target.name} could not take the message for ${describe(message)} (nack).`
      return new Error(`${what} A queue that it goes to is full, or failed: look into the broker's log.`)
    }
    case 'refused':
      return refusal(answer.code, oneLine(answer.reply), message, target)
    case 'lost':
      return lost(message, target, ended)
  }
}

/** The broker has the message and says nothing. */
export function noConfirm(message: Address, target: BrokerTarget, limitMs: number): Error {
  const what = `The AMQP broker ${target.name} did not confirm the message for ${describe(message)} within ${limitMs} ms.`
  return new Error(`${what} ${UNCERTAIN}`)
}

const UNCERTAIN =
  'Whether it has the message is not known; the next try gives it the same message id, by which consumers can tell.'

function unroutable({ exchange, routingKey }: Address, { name, vhost }: BrokerTarget): string {
  if (exchange === '')
    return `The AMQP broker ${name} has no queue "${routingKey}" in the vhost "${vhost}". Declare it, or name another.`
  const what = `The message is unroutable: the exchange "${exchange}" has no binding to a queue for the routing key "${routingKey}"`
  return `${what} (AMQP broker ${name}, vhost "${vhost}"). Bind a queue to it, or mend the key.`
}

function refusal(code: number, reply: string, message: Address, { name, user, vhost }: BrokerTarget): Error {
  const { exchange } = message
  if (ABOUT_THE_MESSAGE.has(code))
    return new UnrecoverableError(
      `The AMQP broker ${name} refused the message for ${describe(message)}: ${reply}`,
    )
  if (code === NOT_FOUND)
    return new Error(
      `The AMQP broker ${name} has no exchange "${exchange}" in the vhost "${vhost}", to which a message with the routing key "${message.routingKey}" was to go. Declare it, or name another.`,
    )
  if (code === ACCESS_REFUSED)
    return new Error(
      `The AMQP broker ${name} does not let ${user} publish to ${describe(message)}: ${reply}. Grant ${user} to write to the exchange: rabbitmqctl set_permissions.`,
    )
  return new Error(`The AMQP broker ${name} refused the message for ${describe(message)}: ${reply}`)
}

function lost(message: Address, target: BrokerTarget, ended: Error | undefined): Error {
  const error = ended ?? new Error('the channel was closed')
  if ('code' in error && error.code === CONNECTION_FORCED) return brokerFailure(error, target)
  // Counted: a message on which the broker or something on the way breaks would come back for ever otherwise.
  const what = `The connection to the AMQP broker ${target.name} ended before it confirmed the message for ${describe(message)} (${oneLine(error.message)}).`
  return new Error(`${what} ${UNCERTAIN}`, { cause: error })
}

function describe({ exchange, routingKey }: Address): string {
  if (exchange === '') return `the queue "${routingKey}"`
  return `the exchange "${exchange}" with the routing key "${routingKey}"`
}
