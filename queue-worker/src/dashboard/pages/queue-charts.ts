/** Charts of a queue over a period: the page says where they are, its script draws them from what `history` answers. */
import type { Page } from '../asked.ts'
import { changed } from '../chosen.ts'
import { type Html, html } from '../html.ts'
import { columnsOf, PERIODS, type Period, readPeriod } from '../period.ts'

/** Read by the script of charts, as columns. */
export const historyPage: Page = {
  pattern: /^\/queues\/([^/]+)\/history$/,
  method: 'GET',
  role: 'viewer',
  async answer({ ground, found: [queue = ''], query }) {
    const period = readPeriod(query, new Date())
    const points = await ground.ask((asked) => asked.history(queue, period))
    return {
      kind: 'file',
      type: 'application/json; charset=utf-8',
      body: JSON.stringify(columnsOf(points, period)),
    }
  },
}

const CHARTS = [
  { kind: 'throughput', title: 'Throughput', unit: 'messages a minute' },
  { kind: 'trouble', title: 'Failures and dead letters', unit: 'deliveries' },
  { kind: 'run', title: 'Run time', unit: 'per delivery' },
  { kind: 'wait', title: 'Waiting time', unit: 'from due to begun' },
] as const

export function queueCharts(queue: string, period: Period, query: URLSearchParams, base: string): Html {
  const asked = new URLSearchParams(
    period.name === null
      ? { since: query.get('since') ?? '', until: query.get('until') ?? '' }
      : { period: period.name },
  )
  const from = `${base}/queues/${encodeURIComponent(queue)}/history?${asked}`
  return html`<section aria-labelledby="charts-title"><div class="section-head"><h2 id="charts-title">Over time</h2>
<nav class="choices" aria-label="Period">${PERIODS.map(
    ({ name, label }) =>
      html`<a href="${changed(query, { period: name, since: null, until: null })}"${name === period.name && html` aria-current="true"`}>${label}</a>`,
  )}</nav>
<details class="span" id="span"${period.name === null && html` open`}><summary>Other</summary><form method="get" class="inline">
${kept(query, ['since', 'until', 'period', 'after'])}
<label>From <input type="datetime-local" name="since" value="${forInput(query.get('since'))}" required></label>
<label>Until <input type="datetime-local" name="until" value="${forInput(query.get('until'))}"></label>
<small class="zone">UTC</small><button>Show</button></form></details></div>
<div class="charts" id="charts" data-kept="${from}" data-history="${from}">${CHARTS.map(
    ({ kind, title, unit }) =>
      html`<figure class="chart" data-chart="${kind}"><figcaption><strong>${title}</strong> <small>${unit}</small></figcaption>
<div class="plot"></div><p class="legend"></p>
<details><summary>As a table</summary><div class="wide" tabindex="0"></div></details></figure>`,
  )}</div>
<noscript><p><a href="${from}">These numbers as JSON</a></p></noscript></section>`
}

/** What the address says besides, so that a form keeps it. */
export function kept(query: URLSearchParams, without: readonly string[]): Html[] {
  return [...query]
    .filter(([name, value]) => !without.includes(name) && value !== '')
    .map(([name, value]) => html`<input type="hidden" name="${name}" value="${value}">`)
}

/** As `datetime-local` takes it, in UTC. */
export function forInput(given: string | null): string {
  const at = new Date(/[Tt]\d\d:\d\d(:\d\d(\.\d+)?)?$/.test(given ?? '') ? `${given}Z` : (given ?? ''))
  return Number.isNaN(at.getTime()) ? '' : at.toISOString().slice(0, 16)
}
