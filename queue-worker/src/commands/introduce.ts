/** What `dev` says of the embedded stack: where its queues lead, and how to send each of them a message. Pure. */
import type { Config } from '../config.ts'
import type { Stack } from '../embedded/stack.ts'
import { EXAMPLES, type ExampleQueue } from '../processors/examples.ts'
import type { DashboardPlace } from './dashboard.ts'
import { callbackSecret } from './stack-variables.ts'

export function introduceStack(
  stack: Stack,
  config: Config,
  { queues, dashboard }: { readonly queues: readonly string[]; readonly dashboard?: DashboardPlace | null },
): string {
  const { url, databaseUrl, attached } = stack
  const known = Object.keys(EXAMPLES).filter((queue): queue is ExampleQueue => queues.includes(queue))
  const places = known.map((queue) => `  ${queue}: ${LEADS_TO[queue](config, stack)}`)
  const sends = known.map((queue) => `  select pgmq.send('${queue}', '${EXAMPLES[queue]}');`)
  return [
    `embedded stack${attached ? ' (of another process)' : ''}: ${url}   (all of it: npx queue-worker stack)`,
    ...(dashboard ? [`dashboard: ${addressOf(config.http, dashboard)}`] : []),
    ...places,
    ...(known.includes('amqp') ? [] : ['  amqp: is worked on when AMQP_URL leads to a broker']),
    `SQL: psql "${databaseUrl}"`,
    ...sends,
    ...known.slice(0, 1).map((queue) => `without psql: npx queue-worker send ${queue} '${EXAMPLES[queue]}'`),
  ].join('\n')
}

/** With PORT=0 only the server knows its port, and logs it. */
function addressOf({ host, port }: Config['http'], { path, who }: DashboardPlace): string {
  const name = host.includes(':') ? `[${host}]` : host
  return port === 0 ? `at the address below, ${path}; ${who}` : `http://${name}:${port}${path}   (${who})`
}

const LEADS_TO: Readonly<Record<ExampleQueue, (config: Config, stack: Stack) => string>> = {
  email_queue: ({ smtp }, { smtp: own, mailDirectory }) =>
    smtp.host === own.host && smtp.port === own.port
      ? `mail lands in ${mailDirectory}`
      : `mail goes out through ${smtp.host}`,
  reports: ({ reports }) => `files land in ${reports.dir ?? `the bucket ${reports.bucket}`}`,
  payments: ({ payments }) =>
    `stand in the table public.payments; ${payments?.provider === 'sandbox' ? 'the sandbox moves no money' : `the provider is ${payments?.provider}`}`,
  http_callbacks: ({ callbacks }, stack) => {
    const secret = callbackSecret(stack)
    const signed = callbacks.secrets.includes(secret) ? secret : 'your HTTP_CALLBACKS_SECRET'
    return `may go to ${callbacks.allowPrivate.join(', ')} as well; signed with ${signed}`
  },
  amqp: ({ amqp }) =>
    `goes to the broker ${amqp.address?.host}:${amqp.address?.port}, where queues are to be made first`,
}
