/** What an operator may do to one message. A viewer sees nothing of it. */
import type { Inspected } from '../../queue/operator.ts'
import { buttonForm } from '../forms.ts'
import { type Html, html } from '../html.ts'
import type { Visitor } from '../visitor.ts'

export function messageActions(inspected: Inspected, visitor: Visitor, base: string): Html {
  if (visitor.role !== 'operator' || inspected.state === 'unknown') return html``
  const { queue, msgId, state, deadMsgId } = inspected
  const at = `${base}/queues/${queue}`
  if (state === 'retrying' || state === 'delayed')
    return html`<div class="actions">${buttonForm({
      ...{ to: `${at}/act`, visitor, label: 'Retry now' },
      fields: [
        ['action', 'retry_now'],
        ['msg_ids', msgId],
        ['back', `/queues/${queue}/messages/${msgId}`],
      ],
    })}</div>`
  if (state !== 'dead' || deadMsgId === null) return html``
  return html`<div class="actions"><a class="button" href="${at}/confirm?action=redrive&amp;msg_ids=${deadMsgId}">Send back</a><a class="button" href="${at}/confirm?action=discard&amp;msg_ids=${deadMsgId}">Discard</a></div>`
}
