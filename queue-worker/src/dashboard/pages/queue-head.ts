/** The head of a queue's page: how it is, who works on it, what holds it. */
import type { Glance } from '../../queue/dashboard.ts'
import { ago, count, moment, share, span } from '../format.ts'
import { type Html, html, type Value } from '../html.ts'
import type { Visitor } from '../visitor.ts'
import { queueActions } from './queue-actions.ts'
import { stateBadge } from './queue-state.ts'

type QueueRow = Glance['queues'][number]

export function queueHead(queue: QueueRow, glance: Glance, base: string, visitor: Visitor): Html {
  const now = new Date(glance.now)
  return html`<nav class="crumbs" aria-label="You are here"><a href="${base}/">Queues</a></nav>
<div class="page-head"><h1>${queue.queue} ${stateBadge(queue)}</h1><div class="page-actions">${queueActions(queue, visitor, base)}</div></div>
${held(queue, now)}
<dl class="facts">
${fact('Workers', workersOf(queue, glance))}
${fact('Oldest ready', queue.oldestReadySeconds === null ? none : span(queue.oldestReadySeconds))}
${fact('Last hour', lastHour(queue))}
${fact('Rate limit', queue.rateLimit === null ? none : html`${count(queue.rateLimit.maxMessages)} per ${span(queue.rateLimit.periodSeconds)} <small>${count(Math.max(0, Math.floor(queue.rateLimit.left)))} left</small>`)}
${fact('Last error', queue.lastError === null ? none : html`${ago(queue.lastErrorAt, now)} <small class="said clip" title="${queue.lastError}">${queue.lastError}</small>`)}
</dl>`
}

export const none = html`<span class="none">–</span>`

export const fact = (name: string, value: Value) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`

/** What keeps it from being read, in words: somebody has to decide what to do about it. */
function held({ paused, breaker }: QueueRow, now: Date): Html {
  return html`${
    paused &&
    html`<div class="notice warn"><p><strong>This queue is paused.</strong> Messages are taken in, and none is given to a worker until somebody resumes it.</p></div>`
  }${
    breaker !== null &&
    html`<div class="notice bad"><p><strong>The breaker is ${breaker.state === 'open' ? 'open' : 'half open'}</strong> after ${count(breaker.trips)} ${breaker.trips === 1 ? 'trip' : 'trips'} in a row: <span class="said">${breaker.reason}</span></p>
<p>${
      breaker.state === 'open'
        ? html`No message is given out ${breaker.until ? html`until ${moment(breaker.until)} (${ago(breaker.until, now)})` : 'for now'}; then one is, as a probe.`
        : 'One message at a time is given out, as a probe, until one succeeds.'
    }</p></div>`
  }`
}

function workersOf({ queue, workers }: QueueRow, glance: Glance): Html {
  const names = glance.workers
    .filter((one) => one.alive && !one.stopping && one.queues.includes(queue))
    .map(({ workerId }) => workerId)
  if (workers === 0) return none
  const shown = names.slice(0, 3).join(', ')
  return html`${count(workers)} <small class="clip" title="${names.join(', ')}">${shown}${names.length > 3 && ' …'}</small>`
}

function lastHour({ minutes }: QueueRow): Html {
  const sum = (of: (row: QueueRow['minutes'][number]) => number) =>
    minutes.reduce((all, row) => all + of(row), 0)
  const [succeeded, failed, dead] = [
    sum((row) => row.succeeded),
    sum((row) => row.failed),
    sum((row) => row.dead),
  ]
  if (succeeded + failed + dead === 0) return html`<span class="none">nothing was processed</span>`
  const tone = failed + dead > 0 && 'warn'
  return html`${count(succeeded)} done <small class="${tone}">${count(failed)} failed, ${count(dead)} died (${share(failed + dead, succeeded + failed + dead)})</small>`
}
