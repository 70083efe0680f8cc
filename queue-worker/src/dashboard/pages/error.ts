/** What is shown when a page cannot be. */
import type { ConnectionFailure } from '../../errors.ts'
import type { PageError, Reply } from '../asked.ts'
import { html } from '../html.ts'

export function errorPage({ status, message, remedy }: PageError, base: string): Reply {
  const body = html`<section class="alone"><h1>${message}</h1><p>${remedy}</p><p><a href="${base}/">Overview</a></p></section>`
  return { kind: 'page', title: message, status, body }
}

/** Live: it mends itself when the database is back. */
export function databaseErrorPage({ kind, message, remedy }: ConnectionFailure): Reply {
  const body = html`<section class="alone"><h1>The database gave no answer</h1>
<p class="said">${message} (${kind})</p><p>${remedy}</p><p>This page tries again by itself.</p></section>`
  return { kind: 'page', title: 'No answer', status: 503, body, live: true }
}
