/** Who works: the registry, as it was told within the last day. */
import type { WorkerRow } from '../../queue/dashboard.ts'
import { ago, count } from '../format.ts'
import { type Html, html } from '../html.ts'

export function workersTable(workers: readonly WorkerRow[], now: Date): Html {
  if (workers.length === 0)
    return html`<p class="empty">No worker has told of itself within the last day. Start one: <code>npx queue-worker start</code></p>`
  return html`<div class="wide" role="region" aria-label="Table of workers" tabindex="0"><table>
<caption class="hidden">Workers and schedulers</caption>
<thead><tr><th scope="col">Worker</th><th scope="col">State</th><th scope="col" class="n">In flight</th><th scope="col">Queues</th><th scope="col">Version</th><th scope="col">Host, process</th><th scope="col">Started</th><th scope="col">Last seen</th></tr></thead>
<tbody>${workers.map((worker) => workerRow(worker, now))}</tbody></table></div>`
}

function workerRow(worker: WorkerRow, now: Date): Html {
  const { workerId, instance, queues, schedules, host, pid, version, inFlight } = worker
  const does = [...queues, ...(schedules ? ['schedules'] : [])]
  return html`<tr id="worker-${instance}"><th scope="row">${workerId}</th><td>${stateBadge(worker)}</td><td class="n">${count(inFlight)}</td>
<td class="does">${does.join(', ')}</td><td>${version}</td><td>${host}, ${pid}</td><td>${ago(worker.startedAt, now)}</td><td>${ago(worker.seenAt, now)}</td></tr>`
}

function stateBadge({ alive, stopping }: WorkerRow): Html {
  if (stopping) return html`<span class="badge quiet" title="It said that it stops.">stopped</span>`
  if (!alive)
    return html`<span class="badge bad" title="It has not told of itself for a while, and did not say that it stops.">lost</span>`
  return html`<span class="badge good">alive</span>`
}
