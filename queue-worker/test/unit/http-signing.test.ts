/** Our signatures, held against the library that receivers use. */
import { randomBytes } from 'node:crypto'
import { Webhook } from 'standardwebhooks'
import { expect, test } from 'vitest'
import { webhookHeaders, webhookId } from '../../src/services/http/signing.ts'

const newSecret = (bytes = 32) => `whsec_${randomBytes(bytes).toString('base64')}`
const message = { id: 'msg_1', timestamp: Math.floor(Date.now() / 1000), body: '{"a":"ä €","n":[1]}' }

test('the official library verifies what is signed', () => {
  for (const bytes of [24, 32, 33, 64]) {
    const secret = newSecret(bytes)
    const headers = webhookHeaders(message, [secret])
    expect(new Webhook(secret).verify(message.body, headers)).toEqual({ a: 'ä €', n: [1] })
    expect(headers['webhook-signature']).toBe(
      new Webhook(secret).sign(message.id, new Date(message.timestamp * 1000), message.body),
    )
  }
})

test('while secrets are changed, who knows one of them verifies; who knows neither does not', () => {
  const [old, fresh, other] = [newSecret(), newSecret(), newSecret()]
  const headers = webhookHeaders(message, [fresh, old])
  expect(headers['webhook-signature']?.split(' ')).toHaveLength(2)
  for (const secret of [old, fresh]) new Webhook(secret).verify(message.body, headers)
  expect(() => new Webhook(other).verify(message.body, headers)).toThrow(/No matching signature/)
})

test('a changed body, id or time, and one that is too old, are found out', () => {
  const secret = newSecret()
  const headers = webhookHeaders(message, [secret])
  const verify = (body: string, changed: Record<string, string> = {}) =>
    new Webhook(secret).verify(body, { ...headers, ...changed })
  expect(() => verify('{"a":1}')).toThrow()
  expect(() => verify(message.body, { 'webhook-id': 'msg_2' })).toThrow()
  expect(() => verify(message.body, { 'webhook-timestamp': String(message.timestamp + 1) })).toThrow()
  const old = webhookHeaders({ ...message, timestamp: message.timestamp - 3600 }, [secret])
  expect(() => new Webhook(secret).verify(message.body, old)).toThrow(/too old/)
})

test('without a secret there is an id and a time, and no signature', () => {
  expect(Object.keys(webhookHeaders(message, []))).toEqual(['webhook-id', 'webhook-timestamp'])
})

test('the id is the message’s key where a header can hold it, and always the same', () => {
  expect(webhookId('0123456789abcdef')).toBe('msg_0123456789abcdef')
  for (const odd of ['a b', 'a\r\nx: y', 'ä', 'a.b', '', 'x'.repeat(5000)]) {
    expect(webhookId(odd)).toMatch(/^msg_[0-9a-f]{32}$/)
    expect(webhookId(odd)).toBe(webhookId(odd))
  }
  expect(webhookId('a b')).not.toBe(webhookId('a  b'))
})
