/** What an operator may do to a queue, and to what is listed of it. A viewer sees nothing of it. */
import type { MessageState } from '../../queue/dashboard.ts'
import type { QueueOverview } from '../../queue/operator.ts'
import { count } from '../format.ts'
import { buttonForm } from '../forms.ts'
import { type Html, html } from '../html.ts'
import type { Many } from '../queue-act.ts'
import type { Visitor } from '../visitor.ts'

export function queueActions(overview: QueueOverview, visitor: Visitor, base: string): Html {
  if (visitor.role !== 'operator') return html``
  const { queue, paused, retrying, dead } = overview
  const at = `${base}/queues/${queue}`
  return html`<div class="actions" role="group" aria-label="Actions for ${queue}">
${buttonForm({ to: `${at}/act`, visitor, fields: [['action', paused ? 'resume' : 'pause']], label: paused ? 'Resume' : 'Pause' })}
<a class="button" href="${at}/send">Send a test message</a>
${retrying > 0 && html`<a class="button" href="${at}/confirm?action=retry_now">Retry ${count(retrying)} now</a>`}
${dead > 0 && html`<a class="button" href="${at}/confirm?action=redrive">Send dead letters back</a><a class="button" href="${at}/confirm?action=discard">Discard dead letters</a>`}
</div>`
}

/** What can be done to the messages of a state, selected or all that match. */
const FOR_STATE: Readonly<
  Partial<Record<MessageState, readonly { action: Many; selected: string; all?: string }[]>>
> = {
  dead: [
    { action: 'redrive', selected: 'Send selected back', all: 'Send all that match back' },
    { action: 'discard', selected: 'Discard selected', all: 'Discard all that match' },
  ],
  retrying: [{ action: 'retry_now', selected: 'Retry selected now', all: 'Retry all now' }],
  delayed: [{ action: 'retry_now', selected: 'Retry selected now' }],
}

/** What the database can choose dead letters by; with anything else in the query, only what is selected is meant. */
const KNOWN = new Set(['state', 'reason', 'error', 'since', 'before', 'after', 'limit'])

/** Whether a list of this state has boxes to mark its messages with: inputs `msg_ids` of the form `selection`. */
export function canSelect(state: MessageState, visitor: Visitor): boolean {
  return visitor.role === 'operator' && FOR_STATE[state] !== undefined
}

/** The form that the boxes of a list belong to. */
export function selectionActions(
  queue: string,
  state: MessageState,
  filter: URLSearchParams,
  visitor: Visitor,
  base: string,
): Html {
  const offered = FOR_STATE[state] ?? []
  if (visitor.role !== 'operator' || offered.length === 0) return html``
  const at = `${base}/queues/${queue}/confirm`
  const given = [...filter].filter(([, value]) => value !== '')
  const isKnown = given.every(([name]) => KNOWN.has(name))
  const rest = given.filter(([name]) => !['state', 'after', 'limit'].includes(name))
  const all = (action: Many) =>
    `${at}?${new URLSearchParams([['action', action], ...(action === 'retry_now' ? [] : rest)])}`
  return html`<form class="actions" id="selection" method="get" action="${at}" aria-label="Selected messages"><input type="hidden" name="selected" value="yes">
${offered.map(
  ({ action, selected, all: label }) =>
    html`<button name="action" value="${action}">${selected}</button>${isKnown && label !== undefined && (action !== 'retry_now' || rest.length === 0) && html`<a class="button" href="${all(action)}">${label}</a>`}`,
)}</form>`
}
