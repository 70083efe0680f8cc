/** What a message of the AMQP queue may say. The reference for people is docs/processors/amqp.md. */
import { z } from 'zod'
import type { AmqpMessage } from '../services/amqp-message.ts'
import { dropNulls } from '../utils/drop-nulls.ts'
import { amqpHeaders } from './amqp-headers.ts'

/** A payload after validation, aliases resolved. */
export type AmqpPayload = Omit<AmqpMessage, 'messageId' | 'timestamp'>

/** The wire has one byte for the length of such a text. */
const MAX_SHORT_BYTES = 255
/** Of a 32-bit number of milliseconds, 49 days. */
const MAX_EXPIRATION_MS = 4_294_967_295

const short = (what: string, description: string) =>
  z
    .string({ error: `${what} must be a string` })
    .refine(
      (text) => Buffer.byteLength(text) <= MAX_SHORT_BYTES,
      `${what} is longer than ${MAX_SHORT_BYTES} bytes`,
    )
    .meta({ description: `${description}. At most ${MAX_SHORT_BYTES} bytes.` })
    .optional()

/** Postgres' encode(data, 'base64') breaks its lines. */
const base64 = (what: string, description: string) =>
  z
    .string({ error: `${what} must be a string` })
    .refine((text) => {
      const compact = text.replace(/\s+/g, '')
      return compact.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(compact)
    }, `${what} is not base64`)
    .meta({ description })
    .optional()

const aliasOf = (name: string) => `Another name of ${name}`

const fields = {
  exchange: short('exchange', 'The exchange; "" is the default exchange'),
  routingKey: short('routingKey', 'The routing key for the exchange; default ""'),
  routing_key: short('routing_key', aliasOf('routingKey')),
  queue: short('queue', 'Instead of an exchange: the queue, through the default exchange'),
  data: z.unknown().meta({ description: 'The body: a string as it is, anything else as JSON' }).optional(),
  dataBase64: base64(
    'dataBase64',
    'Instead of data: the bytes of the body, in base64, which may have line breaks',
  ),
  data_base64: base64('data_base64', aliasOf('dataBase64')),
  contentType: short(
    'contentType',
    'Default: application/json for JSON, text/plain for a string, application/octet-stream for bytes',
  ),
  content_type: short('content_type', aliasOf('contentType')),
  contentEncoding: short('contentEncoding', 'Such as utf-8 or gzip; nothing is encoded here'),
  content_encoding: short('content_encoding', aliasOf('contentEncoding')),
  headers: amqpHeaders.optional(),
  priority: z
    .int({ error: 'priority is a whole number from 0 to 255' })
    .min(0, 'priority is a whole number from 0 to 255')
    .max(255, 'priority is a whole number from 0 to 255')
    .meta({ description: 'For queues with priorities' })
    .optional(),
  expiration: z
    .int({ error: 'expiration is a whole number of milliseconds' })
    .min(0, 'expiration is less than 0')
    .max(MAX_EXPIRATION_MS, `expiration is more than ${MAX_EXPIRATION_MS} ms`)
    .meta({ description: 'Milliseconds that the message may wait in a queue of the broker' })
    .optional(),
  type: short('type', 'The kind of message, such as order.created'),
  correlationId: short('correlationId', 'Of the message this one answers or belongs to'),
  correlation_id: short('correlation_id', aliasOf('correlationId')),
  replyTo: short('replyTo', 'The queue that answers go to'),
  reply_to: short('reply_to', aliasOf('replyTo')),
  appId: short('appId', 'The program it comes from'),
  app_id: short('app_id', aliasOf('appId')),
}
const known = Object.keys(fields).join(', ')
const raw = z.strictObject(fields, {
  error: (issue) => {
    if (issue.code === 'unrecognized_keys') {
      return `unknown key ${issue.keys.map((key) => JSON.stringify(key)).join(', ')}; known are: ${known}`
    }
    return 'an AMQP message is a JSON object such as {"exchange": "orders", "routingKey": "order.created", "data": {…}}'
  },
})
type Raw = z.infer<typeof raw>

/**
 * The schema of the AMQP queue. A key that is null counts as absent, because SQL's jsonb_build_object writes nulls; within
 * data and headers null is null.
 */
export const amqpPayload = z.preprocess(
  dropNulls,
  raw
    .superRefine((given, context) => {
      for (const message of contradictions(given)) context.addIssue({ code: 'custom', message })
    })
    .transform((given): AmqpPayload => {
      const { exchange = '', headers = {}, priority, expiration, type } = given
      return {
        exchange,
        routingKey: given.queue ?? given.routingKey ?? given.routing_key ?? '',
        ...bodyOf(given),
        contentEncoding: given.contentEncoding ?? given.content_encoding,
        headers,
        priority,
        expiration,
        type,
        correlationId: given.correlationId ?? given.correlation_id,
        replyTo: given.replyTo ?? given.reply_to,
        appId: given.appId ?? given.app_id,
      }
    }),
)

function bodyOf(given: Raw): Pick<AmqpPayload, 'content' | 'contentType'> {
  const type = given.contentType ?? given.content_type
  const base64 = given.dataBase64 ?? given.data_base64
  if (base64 !== undefined)
    return { content: Buffer.from(base64, 'base64'), contentType: type ?? 'application/octet-stream' }
  const { data } = given
  if (typeof data === 'string') return { content: Buffer.from(data), contentType: type ?? 'text/plain' }
  return { content: Buffer.from(JSON.stringify(data)), contentType: type ?? 'application/json' }
}

const ALIASES = [
  ['routingKey', 'routing_key'],
  ['dataBase64', 'data_base64'],
  ['contentType', 'content_type'],
  ['contentEncoding', 'content_encoding'],
  ['correlationId', 'correlation_id'],
  ['replyTo', 'reply_to'],
  ['appId', 'app_id'],
] as const satisfies readonly (readonly [keyof Raw, keyof Raw])[]

/** What no single key can tell. */
function contradictions(given: Raw): string[] {
  const problems: string[] = []
  for (const [one, other] of ALIASES)
    if (given[one] !== undefined && given[other] !== undefined)
      problems.push(`give ${one} or ${other}, not both: they are the same`)
  const routingKey = given.routingKey ?? given.routing_key
  if (given.queue !== undefined) {
    if (given.exchange !== undefined || routingKey !== undefined)
      problems.push('give a queue, or an exchange and a routingKey, not both')
    if (given.queue === '') problems.push('the queue has no name')
  } else if (given.exchange === undefined) {
    problems.push('there is nowhere to publish to: give a queue, or an exchange and a routingKey')
  } else if (given.exchange === '' && !routingKey) {
    problems.push('the default exchange ("") needs the name of a queue as routingKey')
  }
  const base64 = given.dataBase64 ?? given.data_base64
  if (given.data === undefined && base64 === undefined)
    problems.push('there is nothing to publish: give data or dataBase64 (data may be "")')
  if (given.data !== undefined && base64 !== undefined) problems.push('give data or dataBase64, not both')
  return problems
}
