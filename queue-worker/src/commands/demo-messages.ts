/** What the demo sends: few messages, one for each thing that is worth seeing. */
import { INBOX } from './demo-inbox.ts'

export const DEMO_QUEUES = ['email_queue', 'reports', 'payments', 'http_callbacks', 'amqp'] as const

export type DemoQueue = (typeof DEMO_QUEUES)[number]
export type DemoMessage = { readonly queue: DemoQueue; readonly title: string; readonly payload: object }

const EMAILS: readonly DemoMessage[] = [
  {
    queue: 'email_queue',
    title: 'a welcome mail, from a template',
    payload: {
      to: 'Ada Lovelace <ada@example.com>',
      template: 'welcome',
      variables: { name: 'Ada', product: 'Analytical Engines', url: 'https://example.com/start' },
    },
  },
  {
    queue: 'email_queue',
    title: 'a mail to a mailbox that is busy at first',
    payload: { to: 'busy-once@example.com', subject: 'Second time lucky', text: 'It was busy at first.' },
  },
  {
    queue: 'email_queue',
    title: 'a mail to a mailbox that is not there',
    payload: { to: 'refused@example.com', subject: 'Hello?', text: 'Is anybody there?' },
  },
  {
    queue: 'email_queue',
    title: 'a mail to "not an address"',
    payload: { to: 'not an address', subject: 'Oops', text: 'Whoever you are' },
  },
]

/** The sandbox makes its mind up by the amount: 4008 loses its answer once, 4001 is declined. */
const PAYMENTS: readonly (readonly [title: string, payload: object])[] = [
  ['charge 40.08 EUR; the answer gets lost', { reference: 'order-1001', amount: 4008, currency: 'EUR' }],
  ['charge 40.01 EUR; the card is declined', { reference: 'order-1002', amount: 4001, currency: 'EUR' }],
  ['hold 250.00 USD', { reference: 'order-1003', amount: 25000, currency: 'USD', capture: false }],
  ['hold 120.00 GBP', { reference: 'order-1004', amount: 12000, currency: 'GBP', capture: false }],
  ['charge 5000 JPY', { reference: 'order-1005', amount: 5000, currency: 'JPY' }],
]
/** The titles of those that the next messages are about. */
export const TO_CAPTURE = 'hold 120.00 GBP'
export const TO_REFUND = 'charge 5000 JPY'

const payment = (title: string, payload: object): DemoMessage => ({ queue: 'payments', title, payload })
const callback = (title: string, url: string): DemoMessage => ({
  queue: 'http_callbacks',
  title,
  payload: { url, data: { order: 'order-1001', state: 'paid' } },
})

/** These need nothing but themselves. */
export function firstMessages(receiver: { readonly url: string; readonly busyUrl: string }): DemoMessage[] {
  return [
    ...EMAILS,
    ...PAYMENTS.map(([title, payload]) => payment(title, { operation: 'create', ...payload })),
    callback('a callback to a receiver in this demo', receiver.url),
    callback('a callback that is answered 500 at first', receiver.busyUrl),
    callback('a callback to a private address', 'http://169.254.169.254/latest/meta-data'),
    {
      queue: 'amqp',
      title: 'an event for RabbitMQ',
      payload: { queue: INBOX, type: 'order.paid', data: { order: 'order-1001' } },
    },
  ]
}

/** These go on with payments that the first ones made, and report about all of it. */
export function nextMessages({
  toCapture,
  toRefund,
}: Record<'toCapture' | 'toRefund', string>): DemoMessage[] {
  const report = (title: string, payload: object): DemoMessage => ({ queue: 'reports', title, payload })
  return [
    payment('capture 100.00 GBP of the 120.00', {
      operation: 'capture',
      payment_id: toCapture,
      amount: 10000,
    }),
    payment('refund 2000 JPY of the 5000', {
      operation: 'refund',
      payment_id: toRefund,
      amount: 2000,
      reason: 'one was broken',
    }),
    report('daily volume, as PDF, by mail', {
      report: 'daily_volume',
      format: 'pdf',
      deliver: { to: 'boss@example.com', subject: 'Daily volume' },
    }),
    report('failures, as XLSX', { report: 'failures', format: 'xlsx' }),
    report('processing times, as CSV', { report: 'processing_times', format: 'csv' }),
  ]
}
