/** The demo tells what it found, also when that is not what it hoped for. */
import { expect, test } from 'vitest'
import { showDemo } from '../../src/commands/demo-report.ts'
import type { DemoResult, DemoResults } from '../../src/commands/demo-results.ts'

const message = (given: Partial<DemoResult>): DemoResult => ({
  queue: 'amqp',
  id: '1',
  message: 'an event',
  happened: 'confirmed by the broker',
  attempts: 1,
  deliveries: 1,
  ms: 12,
  error: null,
  file: null,
  ...given,
})
const payment: DemoResults['payments'][number] = {
  id: 'p',
  reference: 'order-1001',
  status: 'succeeded',
  amount: '40.08 EUR',
  captured: '40.08 EUR',
  refunded: '0.00 EUR',
  error: null,
  timesAtProvider: 1,
  deliveries: 1,
}
const shown = (given: Partial<DemoResults>) =>
  showDemo(
    { messages: [], payments: [], amqp: { broker: 'RabbitMQ', arrived: [], missing: null }, ...given },
    'postgres://here',
  )

test('what has not ended says so, without a time', () => {
  const text = shown({ messages: [message({ happened: 'not finished', attempts: 0, ms: null })] })
  expect(text).toMatch(/^amqp +1 +an event +not finished +0$/m)
})

test('a queue is named once, and a dead letter with its whole queue', () => {
  const dead = {
    queue: 'demo_reports',
    happened: 'dead letter: unrecoverable',
    error: 'there is no such report',
  }
  const text = shown({ messages: [message({}), message({ id: '2' }), message({ ...dead, id: '3' })] })
  expect(text).toMatch(/^amqp +1 .*\n +2 .*\ndemo_reports +3 /m)
  expect(text).toMatch(/demo_reports 3: there is no such report\n.*pgmq\.q_demo_reports_dlq;/)
})

test('how often money moved is what the provider has, not what it should have', () => {
  const delivered = { ...payment, deliveries: 3 }
  expect(shown({ payments: [payment] })).not.toMatch(/delivered/)
  expect(shown({ payments: [delivered] })).toMatch(/delivered 3 times.*\n.*books it stands once\./)
  expect(shown({ payments: [{ ...delivered, timesAtProvider: 2 }] })).toMatch(/books it stands twice\./)
})

test('a broker that cannot be read from, and none at all, are told apart', () => {
  const amqp = { broker: 'the broker of AMQP_URL', arrived: [], missing: 'ACCESS_REFUSED.' }
  expect(shown({ messages: [message({})], amqp })).toMatch(
    /nothing can be read back from the broker of AMQP_URL: ACCESS/,
  )
  const waits = message({ happened: 'waits for a broker', attempts: 0, ms: null })
  expect(shown({ messages: [waits], amqp })).toMatch(/uses up no attempt.*\nACCESS_REFUSED\./)
})
