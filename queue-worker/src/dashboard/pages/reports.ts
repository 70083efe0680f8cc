/** The reports that were asked for, the newest first. */
import type { ReportLine } from '../../queue/dashboard.ts'
import type { Page } from '../asked.ts'
import { bytes, count, moment } from '../format.ts'
import { type Html, html } from '../html.ts'

const PAGE = 50

export const reportsPage: Page = {
  pattern: /^\/reports$/,
  method: 'GET',
  role: 'viewer',
  async answer({ ground, base, query }) {
    const [at, originKey] = [query.get('at'), query.get('key')]
    const before = at !== null && originKey !== null && isMoment(at) ? { requestedAt: at, originKey } : null
    const found = await ground.ask((queue) => queue.recentReports({ before, limit: PAGE + 1 }))
    const shown = found.slice(0, PAGE)
    const last = found.length > PAGE ? shown.at(-1) : undefined
    const body = html`<h1>Reports</h1>
${shown.length > 0 ? reportsTable(shown, base) : nothing(before !== null)}
${
  (before !== null || last !== undefined) &&
  html`<nav class="pages" aria-label="Pages of reports">${
    before !== null && html`<a class="button" href="${base}/reports">Newest</a>`
  }${last !== undefined && html`<a class="button" rel="next" href="${base}/reports?${olderThan(last)}">Older</a>`}</nav>`
}`
    return { kind: 'page', title: 'Reports', body, live: before === null }
  },
}

const isMoment = (text: string) => !Number.isNaN(new Date(text).getTime())

function olderThan({ requestedAt, originKey }: ReportLine): string {
  return new URLSearchParams([
    ['at', requestedAt],
    ['key', originKey],
  ]).toString()
}

function reportsTable(reports: readonly ReportLine[], base: string): Html {
  return html`<div class="wide"><table>
<caption class="hidden">Reports, the newest first</caption>
<thead><tr><th scope="col">Report</th><th scope="col">State</th><th scope="col">Format</th><th scope="col" class="n">Rows</th><th scope="col" class="n">Size</th><th scope="col">Asked for</th><th scope="col">Finished</th></tr></thead>
<tbody>${reports.map((one) => reportRow(one, base))}</tbody></table></div>`
}

function reportRow(line: ReportLine, base: string): Html {
  const { originKey, report, title, state, format, rows, bytes: size, requestedAt, finishedAt } = line
  return html`<tr><th scope="row"><a href="${base}/reports/${encodeURIComponent(originKey)}">${title ?? report}</a></th><td>${reportState(state)}</td><td>${format}</td><td class="n">${
    rows === null ? html`<span class="none">–</span>` : count(rows)
  }</td><td class="n">${size === null ? html`<span class="none">–</span>` : bytes(size)}</td><td>${moment(requestedAt)}</td><td>${moment(finishedAt)}</td></tr>`
}

export function reportState(state: string): Html {
  const tone = state === 'done' ? 'good' : state === 'failed' ? 'bad' : 'quiet'
  return html`<span class="badge ${tone}">${state}</span>`
}

function nothing(isLater: boolean): Html {
  if (isLater) return html`<p class="empty">There is nothing older.</p>`
  return html`<p class="empty">No report was asked for yet. Ask for one: <code>npx queue-worker send reports '{"report": "daily_volume", "format": "csv"}'</code></p>`
}
