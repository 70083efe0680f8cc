/** What a message led to: its report, its payments, its mail. */
import type { Related } from '../../queue/dashboard.ts'
import type { Ground } from '../asked.ts'
import { bytes, count, moment } from '../format.ts'
import { type Html, html } from '../html.ts'
import { fact } from './queue-head.ts'

export function ledTo({ report, payments }: Related, originKey: string, ground: Ground, base: string): Html {
  const about = encodeURIComponent(originKey)
  if (report === null && payments.length === 0 && !ground.mails) return html``
  return html`<section aria-labelledby="led-title"><h2 id="led-title">What it led to</h2>
${report !== null && reportCard(report, ground.reports ? `${base}/reports/${about}` : null)}
${payments.length > 0 && paymentsTable(payments)}
${Boolean(ground.mails) && html`<p><a href="${base}/mails?about=${about}">Mail it sent</a></p>`}</section>`
}

function reportCard(report: NonNullable<Related['report']>, file: string | null): Html {
  const { state, error } = report
  const tone = state === 'done' ? 'good' : state === 'failed' ? 'bad' : 'quiet'
  return html`<h3>Report ${report.title ?? report.report} <span class="badge ${tone}">${state}</span></h3><dl class="facts">
${fact('Report', html`<code>${report.report}</code>, ${report.format}`)}
${report.rows !== null && fact('Rows', count(report.rows))}
${report.bytes !== null && fact('Size', bytes(report.bytes))}
${fact('Finished', moment(report.finishedAt))}
${report.location !== null && fact('File', file === null ? html`<code class="said">${report.location}</code>` : html`<a href="${file}">Open</a> <small class="said">${report.location}</small>`)}
${error !== null && fact('Error', html`<span class="said">${error}</span>`)}</dl>`
}

function paymentsTable(payments: Related['payments']): Html {
  return html`<div class="wide" role="region" aria-label="Table of payments" tabindex="0"><table><caption class="hidden">Payments</caption>
<thead><tr><th scope="col">Payment</th><th scope="col">Reference</th><th scope="col">Status</th><th scope="col" class="n">Amount</th><th scope="col">Changed</th></tr></thead>
<tbody>${payments.map(
    ({ id, reference, status, amount, currency, updatedAt }) =>
      html`<tr><th scope="row"><code>${id}</code></th><td>${reference ?? html`<span class="none">–</span>`}</td><td><span class="badge">${status}</span></td><td class="n">${amount} ${currency}</td><td>${moment(updatedAt)}</td></tr>`,
  )}</tbody></table></div>`
}
