/** The first page: are the queues well? One row a queue, then who works, and what is sent by schedule. */
import type { Glance } from '../../queue/dashboard.ts'
import type { Page } from '../asked.ts'
import { ago, count, share, span } from '../format.ts'
import { type Html, html } from '../html.ts'
import { sparkline } from '../sparkline.ts'
import { firstMessage } from './first-message.ts'
import { stateBadge, stateOf } from './queue-state.ts'
import { schedulesTable } from './schedules.ts'
import { workersTable } from './workers.ts'

export const overviewPage: Page = {
  pattern: /^\/$/,
  method: 'GET',
  role: 'viewer',
  async answer({ ground, base }) {
    const glance = await ground.ask((queue) => queue.glance())
    const now = new Date(glance.now)
    const body = html`<h1>Queues</h1>
${verdict(glance.queues)}
${glance.queues.length > 0 ? queuesTable(glance.queues, base, now) : firstMessage(ground.processors)}
<h2>Workers</h2>
${workersTable(glance.workers, now)}
<h2>Schedules</h2>
${schedulesTable(glance.schedules, base, now)}`
    return { kind: 'page', title: 'Queues', body, live: true }
  },
}

/** The first thing somebody on call wants to know. */
function verdict(queues: readonly QueueRow[]): Html {
  const poor = queues.filter((queue) => ['warn', 'bad'].includes(stateOf(queue).tone))
  if (queues.length === 0) return html``
  if (poor.length === 0)
    return html`<p class="lead">${queues.length === 1 ? 'The queue is' : `All ${queues.length} queues are`} served as they should be.</p>`
  return html`<p class="lead"><strong class="bad">To be looked at:</strong> ${poor.map(
    (queue, index) =>
      html`${index > 0 && '; '}<a href="#queue-${queue.queue}">${queue.queue}</a>, ${stateOf(queue).word}`,
  )}.</p>`
}

type QueueRow = Glance['queues'][number]

function queuesTable(queues: readonly QueueRow[], base: string, now: Date): Html {
  return html`<div class="wide"><table class="queues">
<caption class="hidden">Queues, how many messages are in which state, and how they fare</caption>
<thead><tr><th scope="col">Queue</th><th scope="col">State</th><th scope="col" class="n">Ready</th><th scope="col" class="n">In flight</th><th scope="col" class="n">Delayed</th><th scope="col" class="n">Retrying</th><th scope="col" class="n">Dead</th><th scope="col" class="n">Oldest ready</th><th scope="col" class="n">In / min</th><th scope="col" class="n">Out / min</th><th scope="col" class="n">Failures</th><th scope="col">Last error</th><th scope="col">Last hour</th></tr></thead>
<tbody>${queues.map((queue) => queueRow(queue, base, now))}</tbody></table></div>`
}

function queueRow(queue: QueueRow, base: string, now: Date): Html {
  const at = `${base}/queues/${queue.queue}`
  const { minutes, oldestReadySeconds: oldest } = queue
  const succeeded = total(minutes.map((row) => row.succeeded))
  const failed = total(minutes.map((row) => row.failed + row.dead))
  const lately = minutes.filter(
    ({ minute }) => now.getTime() - new Date(minute).getTime() < RATE_MINUTES * 60_000,
  )
  const sent = lately.map((row) => row.sent).filter((value) => value !== null)
  const cell = (state: string, value: number, isEstimate: boolean, tone = '') =>
    html`<td class="n"><a class="${value === 0 ? 'zero' : tone}" href="${at}?state=${state}#messages">${count(value, isEstimate)}</a></td>`
  const estimated = (name: 'ready' | 'delayed' | 'dead') => queue.estimated.includes(name)
  return html`<tr id="queue-${queue.queue}"><th scope="row"><a href="${at}">${queue.queue}</a></th><td>${stateBadge(queue)}</td>
${cell('ready', queue.ready, estimated('ready'))}${cell('in_flight', queue.inFlight, false)}${cell('delayed', queue.delayed, estimated('delayed'))}${cell('retrying', queue.retrying, false, 'warn')}${cell('dead', queue.dead, estimated('dead'), 'bad')}
<td class="n">${oldest === null ? html`<span class="none">–</span>` : span(oldest)}</td>
<td class="n">${sent.length === 0 ? html`<span class="none" title="Not known: it is measured while a worker runs">–</span>` : rate(total(sent))}</td>
<td class="n">${rate(total(lately.map((row) => row.succeeded)))}</td>
<td class="n"><span${failed > 0 && html` class="warn"`} title="${count(failed)} of ${count(succeeded + failed)} deliveries in the last hour">${share(failed, succeeded + failed)}</span></td>
<td>${queue.lastError === null ? html`<span class="none">–</span>` : html`<a class="quiet-link" href="${at}?state=${queue.dead > 0 ? 'dead' : 'retrying'}#messages" title="${queue.lastError}">${ago(queue.lastErrorAt, now)}</a>`}</td>
<td>${sparkline(minutes, now)}</td></tr>`
}

/** A rate of the last minute alone would jump. */
const RATE_MINUTES = 5

function rate(messages: number): string {
  const perMinute = messages / RATE_MINUTES
  return perMinute > 0 && perMinute < 10 ? perMinute.toFixed(1) : count(Math.round(perMinute))
}

const total = (values: readonly number[]) => values.reduce((all, one) => all + one, 0)
