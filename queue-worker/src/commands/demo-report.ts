/** What the demo shows at its end. Pure. */

import { EXAMPLES } from '../processors/examples.ts'
import { type DemoResult, type DemoResults, shorten, WAITS } from './demo-results.ts'
import { table } from './table.ts'

export function showDemo(results: DemoResults, databaseUrl: string): string {
  const { messages } = results
  const parts = [
    messageTable(messages),
    deadLetters(messages),
    payments(results),
    broker(results),
    files(messages),
    next(databaseUrl),
  ]
  return parts.filter((part) => part !== '').join('\n\n')
}

/** Each queue is named once. */
function messageTable(messages: readonly DemoResult[]): string {
  const rows = messages.map(({ queue, id, message, happened, attempts, ms }, index) => [
    queue === messages[index - 1]?.queue ? '' : queue,
    id,
    message,
    happened,
    String(attempts),
    ms === null ? '' : `${ms} ms`,
  ])
  return table(['queue', 'id', 'message', 'what became of it', 'attempts', 'time'], rows, [1, 4, 5])
}

function deadLetters(messages: readonly DemoResult[]): string {
  const dead = messages.flatMap(({ queue, id, error }) => (error === null ? [] : [{ queue, id, error }]))
  const [first] = dead
  if (first === undefined) return ''
  const reasons = dead.map(({ queue, id, error }) => shorten(`  ${queue} ${id}: ${error}`, 120))
  return `Dead letters keep the message and the reason:
${reasons.join('\n')}
  All of it: select message from pgmq.q_${first.queue}_dlq;`
}

function payments({ payments: all }: DemoResults): string {
  if (all.length === 0) return ''
  const rows = all.map((one) => [
    one.reference,
    one.status,
    one.amount,
    one.captured,
    one.refunded,
    one.error ?? '',
  ])
  const twice = all
    .filter(({ deliveries }) => deliveries > 1)
    .map(
      ({ reference, deliveries, timesAtProvider }) =>
        `\n${reference}: its message was delivered ${times(deliveries)}, as the provider had charged and then its answer was lost.` +
        `\nIn the provider's books it stands ${times(timesAtProvider)}.`,
    )
  return `Payments (public.payments; the provider is the sandbox, which moves no money):

${table(['reference', 'status', 'amount', 'captured', 'refunded', 'last_error'], rows, [2, 3, 4])}
${twice.join('')}`
}

function times(count: number): string {
  return ['never', 'once', 'twice'][count] ?? `${count} times`
}

function broker({ messages, amqp: { broker: name, arrived, missing } }: DemoResults): string {
  if (missing === null) {
    const read = arrived.map(({ type, body, id }) => `${type} ${body}, message id ${id}`)
    return `Read back from ${name}: ${read.join('; ')}`
  }
  return messages.some(({ happened }) => happened === WAITS)
    ? `AMQP: the message waits in its queue, and uses up no attempt, as no broker can be reached.\n${missing}`
    : `AMQP: nothing can be read back from ${name}: ${missing}`
}

function files(messages: readonly DemoResult[]): string {
  const made = messages.flatMap(({ message, file }) => (file === null ? [] : [{ message, file }]))
  if (made.length === 0) return ''
  const width = Math.max(...made.map(({ message }) => message.length))
  return `Files to open:
${made.map(({ message, file }) => `  ${message.padEnd(width)}  ${file}`).join('\n')}`
}

function next(databaseUrl: string): string {
  return `Next:
  npm run dev     a worker for all five queues on the same data (.queue-worker/), for messages of your own:
                  psql "${databaseUrl}"
                  select pgmq.send('email_queue', '${EXAMPLES.email_queue}');
  README.md       connect it to your Supabase project`
}
