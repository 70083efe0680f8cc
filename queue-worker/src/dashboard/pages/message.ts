/** One message: what it says, what happened to it, and what it led to. Dead letters are found by their own id in `<queue>_dlq` as well. */
import { ConnectionFailure } from '../../errors.ts'
import { type Asked, type Page, PageError } from '../asked.ts'
import { ago, count, moment } from '../format.ts'
import { type Html, html } from '../html.ts'
import { prettyJson } from '../json.ts'
import { type Known, textOf } from '../life.ts'
import { holdsHidden, type Mask } from '../mask.ts'
import { byName, maskOf, maskOrAll } from '../masks.ts'
import { messageActions } from './message-actions.ts'
import { ledTo } from './message-led-to.ts'
import { errorText, stepsTable, timeline } from './message-life.ts'
import { fact } from './queue-head.ts'

export const messagePage: Page = {
  pattern: /^\/queues\/([^/]+)\/messages\/([^/]+)$/,
  method: 'GET',
  role: 'viewer',
  async answer(asked) {
    const { ground, base, visitor, query } = asked
    const [queue = '', msgId = ''] = asked.found
    const found = await inspected(asked, queue, msgId)
    const unmasked = query.get('show') === 'all'
    if (unmasked && visitor.role !== 'operator')
      throw new PageError(
        403,
        'You may look, but not at what is hidden.',
        'Log in with a token of an operator.',
      )
    if (unmasked) ground.unmasked?.({ by: visitor.name, queue: found.queue, msgId: found.msgId })
    const related = await ground.ask((one) => one.related(found.originKey))
    const body = html`${head(found, asked)}
${found.state === 'dead' && deathNotice(found)}
<dl class="facts">
${fact('Sent', html`${ago(found.enqueuedAt, new Date())}`)}
${when(found)}
${fact('Deliveries', html`${count(found.deliveries.at(-1)?.delivery ?? 0)} ${found.failures > 0 && html`<small class="warn">${count(found.failures)} failed</small>`}`)}
${fact('Origin key', html`<code class="said">${found.originKey}</code> ${copyButton(found.originKey, 'origin key')}`)}
</dl>
<div class="halves"><div>${payload(found, asked, unmasked)}</div>
<section aria-labelledby="life-title"><div class="section-head"><h2 id="life-title">Its life</h2></div>${timeline(found, base)}</section></div>
${found.steps.length > 0 && stepsTable(found.steps, asked.visitor.role === 'operator')}
${ledTo(related, found.originKey, ground, base)}`
    const live = !unmasked && ['ready', 'in_flight', 'delayed', 'retrying'].includes(found.state)
    return { kind: 'page', title: `Message ${found.msgId} of ${found.queue}`, body, live }
  },
}

function when({ state, archivedAt, visibleAt }: Known): Html | false {
  if (archivedAt !== null) return fact('Archived', moment(archivedAt))
  return visibleAt !== null && fact(state === 'in_flight' ? 'Held until' : 'Due', moment(visibleAt))
}

async function inspected({ ground }: Asked, queue: string, msgId: string): Promise<Known> {
  const remedy =
    'It never was, or it was deleted without a trace, as a queue does that deletes what succeeded.'
  const missing = () => new PageError(404, `Nothing is known of message ${msgId} of ${queue}.`, remedy)
  if (!/^\d{1,18}$/.test(msgId)) throw missing()
  try {
    const found = await ground.ask((one) => one.inspect(queue, msgId))
    if (found.state === 'unknown') throw missing()
    return found
  } catch (error) {
    if (!(error instanceof ConnectionFailure) || error.kind !== 'missing_queue') throw error
    throw new PageError(404, `There is no queue "${queue}".`, 'The overview names them all.')
  }
}

function head(found: Known, { base, visitor }: Asked): Html {
  const { queue, msgId, state } = found
  const list = state === 'gone' || state === 'redriven' ? 'archived' : state
  return html`<nav class="crumbs" aria-label="You are here"><a href="${base}/">Queues</a> <span aria-hidden="true">/</span> <a href="${base}/queues/${queue}?state=${list}">${queue}</a></nav>
<div class="page-head"><h1>Message ${msgId} ${messageBadge(state)} ${copyButton(msgId, 'id')}</h1>
<div class="page-actions">${messageActions(found, visitor, base)}</div></div>`
}

const TONES: Readonly<Record<Known['state'], string>> = {
  ready: 'quiet',
  in_flight: 'good',
  delayed: 'quiet',
  retrying: 'warn',
  archived: 'good',
  dead: 'bad',
  redriven: 'quiet',
  gone: 'quiet',
}

const messageBadge = (state: Known['state']) =>
  html`<span class="badge ${TONES[state]}">${state.replace('_', ' ')}</span>`

/** Shown by the script, which alone can copy. */
const copyButton = (text: string, what: string) =>
  html`<button type="button" class="quiet copy" data-copy="${text}" hidden aria-label="Copy the ${what}">Copy</button>`

function deathNotice({ deadLetter }: Known): Html {
  const reason = textOf(deadLetter?.reason) ?? 'not known'
  const error = textOf(deadLetter?.error)
  const worker = textOf(deadLetter?.worker_id)
  return html`<div class="notice bad death"><p><strong>Dead: ${reason.replaceAll('_', ' ')}</strong>, ${moment(textOf(deadLetter?.dead_at))}${worker !== null && html` at ${worker}`}</p>${error && errorText(error)}</div>`
}

function payload(found: Known, { ground, base, visitor }: Asked, unmasked: boolean): Html {
  const { queue, msgId, message, headers } = found
  const show: Mask = unmasked ? (value) => value : maskOrAll(ground, queue)
  const shown = show(message)
  const isMasked = !unmasked && holdsHidden(shown)
  const here = `${base}/queues/${queue}/messages/${msgId}`
  return html`<section aria-labelledby="payload-title"><div class="section-head"><h2 id="payload-title">Payload</h2>
<button type="button" class="quiet copy" data-copy-from="payload" hidden>Copy</button>${
    isMasked && visitor.role === 'operator' && html`<a href="${here}?show=all">Show what is hidden</a>`
  }${unmasked && html`<a href="${here}">Hide what is sensitive</a>`}</div>
${isMasked && html`<p class="lead">${maskOf(ground, queue) === null ? 'This worker has no processor for the queue, so nothing says what of it is sensitive.' : 'Sensitive fields are hidden.'}</p>`}
<pre class="json" id="payload" tabindex="0">${prettyJson(shown)}</pre></section>
${
  headers !== null &&
  headers !== undefined &&
  html`<section aria-labelledby="headers-title"><h2 id="headers-title">Headers</h2><pre class="json" tabindex="0">${prettyJson(unmasked ? headers : byName(headers))}</pre></section>`
}`
}
