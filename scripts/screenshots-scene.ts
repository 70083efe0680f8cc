/** A busy afternoon, for the pictures: five queues with a past, something wrong in each of them, two workers and three schedules. */
import type { Sql } from 'postgres'
import { loadConfig } from '../queue-worker/src/config.ts'
import { amqpPayload } from '../queue-worker/src/processors/amqp-payload.ts'
import { emailPayload } from '../queue-worker/src/processors/email-payload.ts'
import { httpCallbackPayload } from '../queue-worker/src/processors/http-callback-payload.ts'
import { paymentsPayload } from '../queue-worker/src/processors/payments-payload.ts'
import { reportPayload } from '../queue-worker/src/processors/report-payload.ts'
import type { Queue } from '../queue-worker/src/queue/contract.ts'
import { archive, died, failed, type Life, live, past } from '../queue-worker/test/support/dashboard-scene.ts'

const config = loadConfig({})

export const sceneProcessors = () => [
  { queue: 'email_queue', payload: emailPayload(config.email) },
  { queue: 'reports', payload: reportPayload },
  { queue: 'payments', payload: paymentsPayload },
  { queue: 'http_callbacks', payload: httpCallbackPayload(config.callbacks) },
  { queue: 'amqp', payload: amqpPayload },
]

const PEOPLE = ['ada', 'grace', 'katherine', 'hedy', 'radia', 'barbara', 'margaret', 'annie', 'joan', 'karen']
const mail = (who: string, subject: string) => ({
  to: `${who}@example.com`,
  subject,
  text: `Dear ${who}, …`,
  reply_to: 'desk@example.com',
})
const BUSY =
  'EmailError: 450 4.2.1 the mailbox is busy, try again later\n    at deliver (services/email.ts:148:13)\n    at async process (processors/email.ts:71:5)'
const REFUSED =
  'UnrecoverableError: 550 5.1.1 there is no such mailbox\n    at deliver (services/email.ts:155:13)\n    at async process (processors/email.ts:71:5)'
const CLOSED = 'ConnectionFailure: connect ECONNREFUSED 203.0.113.7:587'

/** Paths of the pages worth a picture, by name. */
export async function paintScene(sql: Sql, queue: Queue): Promise<Record<string, string>> {
  for (const { queue: name } of sceneProcessors()) await queue.ensureQueue(name, { notify: false })
  await past(sql, 'email_queue', { hours: 24 * 8, perMinute: 46, failures: 0.02 })
  await past(sql, 'payments', { hours: 24, perMinute: 9, failures: 0.004, ranMs: 640 })
  await past(sql, 'reports', { hours: 24, perMinute: 4, failures: 0, ranMs: 5400 })
  await past(sql, 'http_callbacks', { hours: 24, perMinute: 17, failures: 0.03, ranMs: 310 })
  const [redriven = '', twice = ''] = await live(queue, 'email_queue', emails(), 'worker-1')
  await live(queue, 'payments', payments(), 'worker-2')
  await live(queue, 'reports', [{ payload: { report: 'daily_volume', format: 'pdf' }, outcomes: ['hold'] }])
  await live(queue, 'http_callbacks', callbacks(), 'worker-2')
  await live(queue, 'amqp', [
    {
      payload: { exchange: 'orders', routingKey: 'order.paid', data: { order: 'order-1001' } },
      outcomes: [
        {
          kind: 'snooze',
          delayMs: 40_000,
          breaker: { reason: 'connect ECONNREFUSED 203.0.113.9:5671 (the broker cannot be reached)' },
        },
      ],
    },
    ...Array.from({ length: 14 }, (_, n) => ({
      payload: { exchange: 'orders', routingKey: 'order.paid', data: { order: `order-${1002 + n}` } },
    })),
  ])
  await queue.redrive('email_queue', { limit: 1 })
  await queue.setRateLimit('http_callbacks', { maxMessages: 1000, periodSeconds: 60 })
  await register(sql, queue)
  await act(queue)
  await report(sql)
  return {
    overview: '/',
    queue: '/queues/email_queue?period=24h',
    'queue-retrying': '/queues/email_queue?state=retrying',
    'queue-dead': '/queues/email_queue?state=dead&period=6h&reason=unrecoverable',
    'queue-breaker': '/queues/amqp',
    message: `/queues/email_queue/messages/${twice}`,
    'message-dead': `/queues/email_queue_dlq/messages/2`,
    'message-redriven': `/queues/email_queue/messages/${redriven}`,
    confirm: '/queues/email_queue/confirm?action=redrive&reason=unrecoverable',
    send: '/queues/email_queue/send',
    audit: '/audit',
    schedule: '/schedules/nightly-volume',
    reports: '/reports',
    mails: '/mails',
  }
}

function emails(): Life[] {
  return [
    { payload: mail('nobody', 'Your order has shipped'), outcomes: [died(REFUSED)] },
    {
      payload: {
        ...mail('ada', 'Reset your password'),
        text: undefined,
        template: 'reset',
        variables: { name: 'Ada', url: 'https://example.com/reset?token=s3cret' },
        attachments: [{ filename: 'help.txt', content: 'How to choose a good password' }],
      },
      outcomes: [failed(BUSY), failed(CLOSED), archive],
      send: {
        headers: { traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01' },
        idempotencyKey: 'reset-ada-1',
      },
    },
    ...PEOPLE.map((who, n) => ({ payload: mail(who, `Invoice ${2041 + n}`), outcomes: [archive] })),
    ...PEOPLE.slice(0, 7).map((who, n) => ({
      payload: mail(`${who}.old`, 'News of November'),
      outcomes: [
        failed(BUSY),
        died(n % 2 === 0 ? REFUSED : BUSY, n % 2 === 0 ? 'unrecoverable' : 'attempts_exhausted', 2),
      ],
    })),
    {
      payload: { to: 'not an address', subject: 'Oops' },
      outcomes: [died('to: "not an address" is no address', 'invalid_payload')],
    },
    ...PEOPLE.slice(2, 8).map((who, n) => ({
      payload: mail(who, 'Your booking'),
      outcomes: [failed(CLOSED), failed(n % 2 === 0 ? BUSY : CLOSED, 90_000 + n * 60_000)],
    })),
    ...PEOPLE.slice(0, 3).map((who) => ({ payload: mail(who, 'Welcome'), outcomes: ['hold'] as const })),
    ...PEOPLE.map((who, n) => ({
      payload: mail(who, `Reminder of ${10 + n}:00`),
      send: { delaySeconds: 3600 * (n + 1) },
    })),
    ...Array.from({ length: 64 }, (_, n) => ({ payload: mail(PEOPLE[n % 10] ?? '', `Ticket ${7000 + n}`) })),
  ]
}

function payments(): Life[] {
  return Array.from({ length: 9 }, (_, n) => ({
    payload: {
      operation: 'create',
      reference: `order-${1001 + n}`,
      amount: 4008 + n * 350,
      currency: 'EUR',
      payment_method: 'pm_card_visa',
    },
    outcomes: n === 3 ? [died('the card was declined: insufficient_funds')] : [archive],
    ranMs: 640,
  }))
}

function callbacks(): Life[] {
  return Array.from({ length: 12 }, (_, n) => ({
    payload: {
      url: `https://shop.example.com/hooks/${n % 3}`,
      data: { order: `order-${1001 + n}`, state: 'paid' },
      headers: { 'x-api-key': 'k3y' },
    },
    outcomes: n % 4 === 0 ? [failed('500 Internal Server Error from shop.example.com', 200_000)] : [archive],
    ranMs: 310,
  }))
}

/** What people did today. */
async function act(queue: Queue): Promise<void> {
  await queue.act({ action: 'pause', queue: 'payments' }, 'ann@example.com')
  const discarded = await queue.act(
    { action: 'discard', queue: 'email_queue', reason: 'attempts_exhausted', limit: 2 },
    'ann@example.com',
  )
  await queue.act({ action: 'undo', auditId: discarded.auditId }, 'bob@example.com')
  await queue.act({ action: 'resume', queue: 'payments' }, 'bob@example.com')
  await queue.act({ action: 'run_schedule', name: 'nightly-volume' }, 'bob@example.com')
}

async function report(sql: Sql): Promise<void> {
  await sql`
    insert into public.reports (origin_key, report, params, format, title, time_zone, state, rows, bytes, sha256, location, run, finished_at)
    values ('a1', 'daily_volume', '{}', 'pdf', 'Volume of November', 'Europe/Berlin', 'done', 30, 48211, repeat('a', 64),
        '/srv/reports/daily_volume-a1.pdf', 'r', now()),
      ('a2', 'failures', '{}', 'xlsx', null, 'UTC', 'running', null, null, null, null, 'r', null)`
}

async function register(sql: Sql, queue: Queue): Promise<void> {
  const queues = sceneProcessors().map(({ queue: name }) => name)
  const beat = { version: '0.1.0', pid: 4711, inFlight: 3 }
  await queue.beat({
    ...beat,
    workerId: 'worker-1',
    instance: 'a',
    host: 'worker-1',
    queues,
    schedules: true,
  })
  await queue.beat({
    ...beat,
    workerId: 'worker-2',
    instance: 'b',
    host: 'worker-2',
    queues,
    inFlight: 1,
    pid: 4802,
  })
  await queue.beat({
    ...beat,
    workerId: 'worker-0',
    instance: 'c',
    host: 'worker-0',
    queues,
    stopping: true,
    inFlight: 0,
  })
  await sql`update queue_worker.workers set started_at = started_at - interval '3 days 4 hours' where worker_id <> 'worker-2'`
  await sql`
    insert into queue_worker.schedules (name, cron, timezone, queue, message)
    values ('nightly-volume', '0 3 * * *', 'Europe/Berlin', 'reports', '{"report": "daily_volume", "format": "pdf"}'),
      ('weekly-invoices', '0 8 * * 1', 'UTC', 'email_queue', '{"template": "invoices"}'),
      ('hourly-sync', '15 * * * *', 'UTC', 'payments', '{"operation": "sync"}') on conflict do nothing`
}
