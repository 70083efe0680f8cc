/** What the demo shows at its end. Pure. */
import type { DemoResult } from './demo-outcomes.ts'
import { table } from './table.ts'

export function showDemo(results: readonly DemoResult[], queue: string, databaseUrl: string): string {
  const rows = results.map(({ message, id, happened, attempts, ms }) => [
    id,
    message,
    happened,
    String(attempts),
    `${ms} ms`,
  ])
  const places = results.map(({ id, mail, error, query }) => {
    const more = query === null ? '' : `\n      ${query}`
    return `  message ${id}: ${mail ?? error ?? `still in pgmq.q_${queue}`}${more}`
  })
  return `${table(['id', 'message', 'what happened', 'attempts', 'time'], rows, [0, 3, 4])}

Where to look:
${places.join('\n')}

The data stays in .queue-worker/. Next:
  npm run dev     a worker on the same stack, for messages of your own:
                  psql "${databaseUrl}"
                  select pgmq.send('email_queue', '{"to": "you@example.com", "subject": "Hi", "text": "Hello"}');
  README.md       connect it to your Supabase project`
}
