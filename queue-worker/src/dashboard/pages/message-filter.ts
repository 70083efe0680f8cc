/** Looking for messages of a queue: by id, by what is in them, by what went wrong, by time. */
import type { MessagesOptions } from '../../queue/dashboard.ts'
import { changed, FILTERS, isFiltered, REASONS } from '../chosen.ts'
import { type Html, html } from '../html.ts'
import { forInput, kept } from './queue-charts.ts'

type Place = {
  readonly base: string
  readonly queue: string
  readonly query: URLSearchParams
  readonly isOperator: boolean
}

export function messageFilter(chosen: MessagesOptions, { base, queue, query, isOperator }: Place): Html {
  const value = (name: string) => query.get(name) ?? ''
  const hasError = chosen.state === 'retrying' || chosen.state === 'dead'
  const filtered = isFiltered(chosen)
  return html`<div class="finders"><form method="get" action="${base}/queues/${queue}/find" class="inline find-id" role="search" aria-label="Message by its id">
<label>Message id <input name="id" inputmode="numeric" pattern="[0-9]+" size="10" required></label><button>Open</button></form>
<details class="filter" id="filter"${filtered && html` open`}><summary>Filter</summary><form method="get" action="#messages" class="inline" role="search" aria-label="Filter messages">
${kept(query, [...FILTERS, 'after'])}
<label>Field of the payload <input name="field" value="${value('field')}" placeholder="customer.email" size="18" spellcheck="false" autocapitalize="none"></label>
<label>is <input name="value" value="${value('value')}" size="18"></label>
${isOperator && html`<label>Payload contains <input name="text" value="${value('text')}" size="18"></label>`}
${hasError && html`<label>Error contains <input name="error" value="${value('error')}" size="22"></label>`}
${
  chosen.state === 'dead' &&
  html`<label>Reason <select name="reason"><option value="">any</option>${REASONS.map(
    (reason) =>
      html`<option value="${reason}"${reason === chosen.reason && html` selected`}>${reason.replaceAll('_', ' ')}</option>`,
  )}</select></label>`
}
<label>From <input type="datetime-local" name="from" value="${forInput(query.get('from'))}"></label>
<label>Before <input type="datetime-local" name="before" value="${forInput(query.get('before'))}"></label>
<small class="zone">UTC</small><button class="main">Filter</button>
${filtered && html`<a href="${changed(query, Object.fromEntries(FILTERS.map((name) => [name, null])))}#messages">Clear</a>`}</form></details></div>`
}
