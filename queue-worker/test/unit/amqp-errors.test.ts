/** What the broker's answers and the client's errors mean, in a table. */
import { expect, test } from 'vitest'
import { UnrecoverableError } from '../../src/errors.ts'
import { publishFailure } from '../../src/services/amqp-failures.ts'
import type { Answer } from '../../src/services/amqp-message.ts'
import { BrokerError, brokerFailure } from '../../src/services/amqp-outage.ts'

const target = { name: 'mq.example:5671', user: 'app', vhost: 'shop' }
const message = { exchange: 'orders', routingKey: 'order.created' }
const judge = (answer: Answer, ended?: Error, to = message) => publishFailure(answer, to, target, ended)
const refused = (code: number, reply: string): Answer => ({ kind: 'refused', code, reply })
const withCode = (message: string, code: string | number) => Object.assign(new Error(message), { code })

test('a confirmed message is no failure', () => {
  expect(judge({ kind: 'confirmed' })).toBeUndefined()
})

test.each([
  ['no binding', judge({ kind: 'returned' }), /"orders" has no binding .* key "order.created"/],
  ['no queue', judge({ kind: 'returned' }, undefined, { exchange: '', routingKey: 'q' }), /has no queue "q"/],
  ['a nack', judge({ kind: 'nacked' }), /nack.*A queue that it goes to is full/],
  ['no exchange', judge(refused(404, 'NOT_FOUND')), /has no exchange "orders" in the vhost "shop"/],
  ['no permission', judge(refused(403, 'ACCESS_REFUSED')), /does not let app publish.*set_permissions/],
  ['another refusal', judge(refused(541, 'INTERNAL_ERROR')), /refused the message.*INTERNAL_ERROR/],
  [
    'a lost connection',
    judge({ kind: 'lost' }, new Error('Unexpected close')),
    /is not known; .*same message id/,
  ],
  ['a broker that chokes', judge({ kind: 'lost' }, withCode('FRAME_ERROR', 501)), /is not known/],
])('%s is a failure of this message, tried again', (_, error, words) => {
  expect(error).toBeInstanceOf(Error)
  expect(error).not.toBeInstanceOf(BrokerError)
  expect(error).not.toBeInstanceOf(UnrecoverableError)
  expect(error?.message).toMatch(words)
})

test.each([406, 311])('what the broker says of the message itself (%i) is final', (code) => {
  expect(judge(refused(code, 'PRECONDITION_FAILED'))).toBeInstanceOf(UnrecoverableError)
})

test('a broker that is told to stop is no fault of a message', () => {
  const error = judge({ kind: 'lost' }, withCode('CONNECTION_FORCED - broker forced', 320))
  expect(error).toBeInstanceOf(BrokerError)
})

test.each([
  ['dns', withCode('getaddrinfo ENOTFOUND mq.example', 'ENOTFOUND'), /Check the host in AMQP_URL/],
  ['refused', withCode('', 'ECONNREFUSED'), /mq.example:5671 refuses connections/],
  ['timeout', withCode('nothing within 5 ms', 'ETIMEDOUT'), /did not answer in time/],
  ['certificate_expired', withCode('x', 'CERT_HAS_EXPIRED'), /operator must renew/],
  ['untrusted_ca', withCode('x', 'SELF_SIGNED_CERT_IN_CHAIN'), /AMQP_CA_FILE/],
  ['tls', withCode('x', 'ERR_TLS_CERT_ALTNAME_INVALID'), /a name that the certificate holds/],
  ['tls', withCode('write EPROTO', 'EPROTO'), /amqps:\/\/ is for the port that speaks TLS/],
  ['login', new Error('Handshake terminated by server: 403 (ACCESS-REFUSED)'), /refused the login of app/],
  ['forbidden', new Error('Expected ConnectionOpenOk; got <ConnectionClose channel:0>'), /the vhost "shop"/],
  ['rejected', new Error('Frame size 1345270062 exceeds maxFrameSize 67108864'), /does not speak AMQP/],
  ['disconnected', new Error('Socket closed abruptly during opening handshake'), /or want TLS/],
  ['exhausted', new Error('No channels left to allocate'), /AMQP_CONCURRENCY/],
  ['disconnected', new Error('Heartbeat timeout'), /hung up \(Heartbeat timeout\)/],
])('%s is told with what to do', (kind, thrown, words) => {
  const error = brokerFailure(thrown, target)
  expect(error).toMatchObject({ kind, cause: thrown })
  expect(error.message).toMatch(words)
  expect(error.message).toMatch(/Messages wait and are tried again\.$/)
})

test('a broker’s words are one line of bounded length', () => {
  expect(brokerFailure(new Error(`a\nb\u0007${'c'.repeat(1000)}`), target).message.length).toBeLessThan(400)
})
