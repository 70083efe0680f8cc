/** One message for each queue that has a processor of ours, as a person would try it first: in SQL, or with `send`. */
export const EXAMPLES = {
  email_queue: '{"to": "you@example.com", "subject": "Hi", "text": "Hello"}',
  reports: '{"report": "daily_volume", "format": "pdf", "deliver": {"to": "you@example.com"}}',
  payments: '{"operation": "create", "amount": 1999, "currency": "EUR", "reference": "order-1"}',
  http_callbacks: '{"url": "http://127.0.0.1:3000/hook", "data": {"order": "order-1"}}',
  amqp: '{"queue": "orders", "data": {"order": "order-1"}}',
} as const

export type ExampleQueue = keyof typeof EXAMPLES
