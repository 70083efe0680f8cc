import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { amqpPayload } from '../../src/processors/amqp-payload.ts'

const docs = new URL('../../../docs/processors/', import.meta.url)
const least = { queue: 'orders', data: { id: 1 } }
const problemsOf = (payload: unknown) => {
  const { error } = amqpPayload.safeParse(payload)
  return error === undefined ? '' : z.prettifyError(error)
}

test('an object goes as JSON, a string as it is, base64 as bytes', () => {
  expect(amqpPayload.parse(least)).toMatchObject({
    exchange: '',
    routingKey: 'orders',
    content: Buffer.from('{"id":1}'),
    contentType: 'application/json',
    headers: {},
  })
  const bodyOf = (body: object) => {
    const { content, contentType } = amqpPayload.parse({ queue: 'q', ...body })
    return [content.toString(), contentType]
  }
  expect(bodyOf({ data: [1, null] })).toEqual(['[1,null]', 'application/json'])
  expect(bodyOf({ data: false })).toEqual(['false', 'application/json'])
  expect(bodyOf({ data: 'grüße' })).toEqual(['grüße', 'text/plain'])
  expect(bodyOf({ data: '' })).toEqual(['', 'text/plain'])
  expect(bodyOf({ data: '<a/>', contentType: 'application/xml' })).toEqual(['<a/>', 'application/xml'])
  expect(bodyOf({ dataBase64: 'aGVs\nbG8=' })).toEqual(['hello', 'application/octet-stream'])
})

test('the names people use for the same thing mean the same, and null counts as absent', () => {
  const camel = {
    exchange: 'e',
    routingKey: 'k',
    contentType: 'a/b',
    contentEncoding: 'gzip',
    correlationId: 'c',
    replyTo: 'r',
    appId: 'a',
    data: 1,
  }
  const snake = Object.fromEntries(
    Object.entries(camel).map(([name, value]) => [
      name.replace(/[A-Z]/g, (one) => `_${one.toLowerCase()}`),
      value,
    ]),
  )
  expect(amqpPayload.parse({ ...snake, priority: null, headers: null, queue: null })).toEqual(
    amqpPayload.parse(camel),
  )
})

test('within data and headers null is null', () => {
  const { content, headers } = amqpPayload.parse({ queue: 'q', data: { a: null }, headers: { x: null } })
  expect(content.toString()).toBe('{"a":null}')
  expect(headers).toEqual({ x: null })
})

const long = 'ä'.repeat(128)

test.each([
  ['no object', 'hello', /an AMQP message is a JSON object such as/],
  [
    'an unknown key',
    { ...least, rountingKey: 'x' },
    /unknown key "rountingKey"; known are: exchange, routingKey/,
  ],
  ['nowhere to go', { data: 1 }, /nowhere to publish to: give a queue, or an exchange and a routingKey/],
  ['a key without an exchange', { routingKey: 'k', data: 1 }, /nowhere to publish to/],
  [
    'two places to go',
    { ...least, exchange: 'e' },
    /give a queue, or an exchange and a routingKey, not both/,
  ],
  ['a queue without a name', { ...least, queue: '' }, /the queue has no name/],
  [
    'the default exchange without a key',
    { exchange: '', data: 1 },
    /needs the name of a queue as routingKey/,
  ],
  ['nothing to publish', { queue: 'q', data: null }, /nothing to publish: give data or dataBase64/],
  ['two bodies', { ...least, dataBase64: 'aGk=' }, /give data or dataBase64, not both/],
  ['two names of one thing', { ...least, reply_to: 'a', replyTo: 'b' }, /give replyTo or reply_to, not both/],
  ['no base64', { queue: 'q', dataBase64: 'a-b' }, /dataBase64 is not base64[\s\S]*at dataBase64/],
  [
    'bytes, not letters, over the limit',
    { ...least, type: long },
    /type is longer than 255 bytes[\s\S]*at type/,
  ],
  ['a long queue', { ...least, queue: long }, /queue is longer than 255 bytes/],
  ['a number as a key', { exchange: 'e', routingKey: 5, data: 1 }, /routingKey must be a string/],
  ['a priority out of range', { ...least, priority: 256 }, /priority is a whole number from 0 to 255/],
  ['a negative expiration', { ...least, expiration: -1 }, /expiration is less than 0/],
  ['an expiration as text', { ...least, expiration: '5 s' }, /expiration is a whole number of milliseconds/],
  [
    'an expiration beyond 49 days',
    { ...least, expiration: 2 ** 32 },
    /expiration is more than 4294967295 ms/,
  ],
  ['headers that are no object', { ...least, headers: ['a'] }, /give headers as an object/],
  [
    'a long header name',
    { ...least, headers: { a: { [long]: 1 } } },
    /name of a header is longer than 255 bytes/,
  ],
  ['a header without a name', { ...least, headers: { '': 1 } }, /a header needs a name/],
  [
    'a type of the wire',
    { ...least, headers: { at: { '!': 'timestamp', value: 1 } } },
    /cannot have the name "!"/,
  ],
  ['a huge number', { ...least, headers: { n: [-1e300] } }, /-1e\+300 is too large a number for a header/],
  [
    'many headers',
    { ...least, headers: { x: 'x'.repeat(16_400) } },
    /16408 bytes as JSON, the limit is 16384/,
  ],
  ['one CC', { ...least, headers: { CC: 'k' } }, /CC is a list of routing keys/],
])('%s is said by name', (_, payload, problem) => {
  expect(problemsOf(payload)).toMatch(problem)
})

test('the JSON Schema in docs is that of the code, and the page tells of every key', () => {
  const schema = z.toJSONSchema(amqpPayload, { io: 'input' })
  expect(JSON.parse(readFileSync(new URL('amqp.schema.json', docs), 'utf8'))).toEqual(schema)
  const page = readFileSync(new URL('amqp.md', docs), 'utf8')
  for (const key of Object.keys(schema.properties ?? {})) expect(page).toContain(`\`${key}\``)
})
