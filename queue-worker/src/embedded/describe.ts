/** What `queue-worker stack` prints: how to reach each part of the stack. It shows keys, which is its purpose. */
import type { Stack } from './stack.ts'

export function describeStack(stack: Stack): string {
  const { url, smtp } = stack
  return `The embedded stack ${stack.attached ? 'is running already, in another process' : 'is running'}. It takes no outside connections.

Put these into the environment or into .env to use it:

SUPABASE_URL=${url}
SUPABASE_SECRET_KEY=${stack.secretKey}
DATABASE_URL=${stack.databaseUrl}
SMTP_HOST=${smtp.host}
SMTP_PORT=${smtp.port}
SMTP_USER=${smtp.user}
SMTP_PASS=${smtp.pass}
SMTP_SECURE=false
SMTP_FROM=worker@example.com

Set SUPABASE_URL to go through the REST interface, as with a Supabase project; DATABASE_URL alone to connect directly.
A publishable key, for programs that must not read the queues: ${stack.publishableKey}

SQL, with psql or any other client:

psql "${stack.databaseUrl}" -c "select pgmq.send('email_queue', '{\\"to\\": \\"you@example.com\\", \\"subject\\": \\"Hello\\", \\"text\\": \\"Hi\\"}')"

Mail that is sent lands as files in ${stack.mailDirectory}
To see failures: mail to refused@example.com is refused for good, mail to busy-once@example.com the first time only.
`
}
