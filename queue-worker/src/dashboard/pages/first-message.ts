/** What is shown where there is nothing yet: how the first message is sent. */
import type { Ground } from '../asked.ts'
import { type Html, html } from '../html.ts'

export function firstMessage(processors: Ground['processors']): Html {
  const queue = processors[0]?.queue ?? 'email_queue'
  return html`<section class="empty"><p>There is no queue yet. A worker makes its queues when it starts; then send a message, in SQL and in the transaction that causes it:</p>
<pre><code>select pgmq.send('${queue}', '{"to": "you@example.com", "subject": "It works", "text": "Hello"}');</code></pre>
<p>or from the command line:</p>
<pre><code>npx queue-worker send ${queue} '{"to": "you@example.com", "subject": "It works", "text": "Hello"}'</code></pre></section>`
}
