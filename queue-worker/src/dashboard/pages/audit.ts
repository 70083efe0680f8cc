/** Who did what, and when; the newest first. */
import type { AuditRow } from '../../queue/dashboard.ts'
import { type Asked, type Page, PageError } from '../asked.ts'
import { count, moment } from '../format.ts'
import { buttonForm } from '../forms.ts'
import { type Html, html } from '../html.ts'
import { tellAct, tellTarget } from '../tell-act.ts'

const PAGE = 50

export const auditPage: Page = {
  pattern: /^\/audit$/,
  method: 'GET',
  role: 'viewer',
  async answer(asked) {
    const { ground, query } = asked
    const before = query.get('before')
    if (before !== null && !/^\d{1,18}$/.test(before))
      throw new PageError(404, 'There is no such page of the audit.', 'Go to its first page.')
    const queue = query.get('queue') || undefined
    const rows = await ground.ask((asking) => asking.audit({ before, queue, limit: PAGE + 1 }))
    const shown = rows.slice(0, PAGE)
    const more = rows.length > PAGE ? shown.at(-1)?.id : undefined
    const body = html`<h1>Audit${queue !== undefined && html` of ${queue}`}</h1>
${shown.length > 0 ? auditTable(shown, asked) : nothing(before !== null)}
${(before !== null || more !== undefined) && pager(asked, before, more, queue)}`
    // Older pages stand still, so that a row stays where somebody reads it.
    return { kind: 'page', title: 'Audit', body, live: before === null }
  },
}

function auditTable(rows: readonly AuditRow[], asked: Asked): Html {
  return html`<div class="wide"><table class="audit">
<caption class="hidden">What people did, the newest first</caption>
<thead><tr><th scope="col">When</th><th scope="col">Who</th><th scope="col">What</th><th scope="col">Which</th><th scope="col" class="n">How many</th><th scope="col">Undone</th><th scope="col" class="n">Number</th></tr></thead>
<tbody>${rows.map((row) => auditRow(row, asked))}</tbody></table></div>`
}

function auditRow(row: AuditRow, { base, visitor }: Asked): Html {
  const { id, at, by, queue, undone, canUndo } = row
  const what =
    queue === null
      ? html`${tellAct(row, row.count)}`
      : html`<a href="${base}/queues/${queue}">${tellAct(row, row.count)}</a>`
  return html`<tr id="audit-${id}"><td>${moment(at)}</td><th scope="row">${by}</th><td class="said">${what}</td><td class="said"><small>${tellTarget(row)}</small></td><td class="n">${count(row.count)}</td><td>${
    undone !== null
      ? html`${undone.by}, ${moment(undone.at)}`
      : canUndo && visitor.role === 'operator'
        ? buttonForm({ to: `${base}/audit/${id}/undo`, visitor, fields: [['back', '/audit']], label: 'Undo' })
        : html`<span class="none">–</span>`
  }</td><td class="n">${id}</td></tr>`
}

function nothing(isLater: boolean): Html {
  if (isLater) return html`<p class="empty">There is nothing older.</p>`
  return html`<p class="empty">Nobody has done anything from this dashboard yet. What is done here is recorded: who paused, retried, sent back, discarded or sent what, and when.</p>`
}

function pager(
  { base }: Asked,
  before: string | null,
  more: string | undefined,
  queue: string | undefined,
): Html {
  const rest = queue === undefined ? '' : `&queue=${encodeURIComponent(queue)}`
  return html`<nav class="pages" aria-label="Pages of the audit">${before !== null && html`<a class="button" href="${base}/audit${queue !== undefined && `?${rest.slice(1)}`}">Newest</a>`}${
    more !== undefined && html`<a class="button" href="${base}/audit?before=${more}${rest}">Older</a>`
  }</nav>`
}
