/** The messages of a queue in one state: tabs with counts, one line each, page by page. */
import type { MessageLine, MessagePage, MessageState, MessagesOptions } from '../../queue/dashboard.ts'
import type { QueueOverview } from '../../queue/operator.ts'
import { changed, isFiltered, STATES } from '../chosen.ts'
import { ago, bytes, count } from '../format.ts'
import { type Html, html } from '../html.ts'
import type { Mask } from '../mask.ts'
import { preview } from '../preview.ts'

export type ListPlace = {
  readonly base: string
  readonly queue: string
  readonly query: URLSearchParams
  readonly now: Date
  readonly mask: Mask
  /** False: there is nothing to choose messages for. */
  readonly canChoose: boolean
}

/** Archives are not counted: they may be of any size. */
export function stateTabs(queue: QueueOverview, chosen: MessageState, query: URLSearchParams): Html {
  const counts: Readonly<Record<MessageState, number | null>> = {
    ...{ ready: queue.ready, in_flight: queue.inFlight, delayed: queue.delayed },
    ...{ retrying: queue.retrying, dead: queue.dead, archived: null },
  }
  const estimated: readonly string[] = queue.estimated
  return html`<nav class="tabs" aria-label="State of the messages">${STATES.map(({ state, name }) => {
    const number = counts[state]
    const tone = !number ? '' : state === 'dead' ? 'bad' : state === 'retrying' ? 'warn' : ''
    return html`<a href="${changed(query, { state })}#messages"${state === chosen && html` aria-current="page"`}>${name}${
      number !== null && html` <span class="count ${tone}">${count(number, estimated.includes(state))}</span>`
    }</a>`
  })}</nav>`
}

const WHEN: Readonly<Record<MessageState, string>> = {
  ready: 'Due',
  in_flight: 'Held until',
  delayed: 'Due',
  retrying: 'Tried again',
  dead: 'Died',
  archived: 'Archived',
}

export function messageList(page: MessagePage, chosen: MessagesOptions, place: ListPlace): Html {
  const { messages, next, lookedAt } = page
  const { state } = chosen
  const isFirst = chosen.after === undefined
  const { query, canChoose } = place
  if (messages.length === 0 && next === null && isFirst && !isFiltered(chosen))
    return nothing(state, place.queue)
  const hasError = state === 'retrying' || state === 'dead'
  const isShort = next !== null && messages.length < (chosen.limit ?? 50)
  return html`${
    messages.length > 0
      ? html`<div class="wide"><table class="messages${hasError && ' letters'}"><caption class="hidden">Messages, ${state.replace('_', ' ')}</caption>
<thead><tr>${canChoose && html`<th scope="col" class="pick"><input type="checkbox" id="pick-all" aria-label="Choose all of this page" hidden></th>`}<th scope="col">${state === 'dead' ? 'Letter' : 'Message'}</th><th scope="col">${WHEN[state]}</th><th scope="col">Payload</th>${
          hasError && html`<th scope="col">Error</th>`
        }<th scope="col" class="n">Deliveries</th><th scope="col" class="n">Size</th></tr></thead>
<tbody>${messages.map((line) => messageRow(line, state, place))}</tbody></table></div>`
      : html`<p class="empty">${isShort ? 'None of these fits.' : 'No message fits.'}</p>`
  }
<nav class="pages" aria-label="Pages of messages">${
    isShort && html`<span>Looked through ${count(lookedAt)} messages, found ${count(messages.length)}.</span>`
  }${!isFirst && html`<a class="button" href="${changed(query, {})}#messages">First page</a>`}${
    next !== null &&
    html`<a class="button" rel="next" href="${changed(query, { after: next })}#messages">${isShort ? 'Go on' : 'Next page'}</a>`
  }</nav>`
}

function messageRow(
  line: MessageLine,
  state: MessageState,
  { base, queue, now, mask, canChoose }: ListPlace,
): Html {
  const { msgId, error, reason, deliveries, failures } = line
  const at = `${base}/queues/${queue}${state === 'dead' ? '_dlq' : ''}/messages/${msgId}`
  const hasError = state === 'retrying' || state === 'dead'
  return html`<tr id="message-${msgId}">${
    canChoose &&
    html`<td class="pick"><input type="checkbox" name="msg_ids" value="${msgId}" form="selection" aria-label="Choose message ${msgId}"></td>`
  }<th scope="row"><a href="${at}">${msgId}</a></th><td>${ago(line.at, now)}</td><td class="mono payload"><span class="clip">${preview(line.preview, mask)}</span></td>${
    hasError &&
    html`<td class="error">${reason !== null && html`<span class="badge bad">${reason.replaceAll('_', ' ')}</span> `}<span class="clip two" title="${error}">${firstLine(error)}</span></td>`
  }<td class="n">${count(deliveries)}${failures > 0 && html` <small class="warn">(${count(failures)} failed)</small>`}</td><td class="n">${bytes(line.bytes)}</td></tr>`
}

/** The rest of it is its stack. */
export const firstLine = (error: string | null) => error?.split('\n', 1)[0] ?? ''

/** Says what the state means, to whoever sees it empty. */
function nothing(state: MessageState, queue: string): Html {
  const words: Readonly<Record<MessageState, Html>> = {
    ready: html`<p>Nothing waits. Send a message, in SQL and in the transaction that causes it:</p>
<pre><code>select pgmq.send('${queue}', '{…}');</code></pre>`,
    in_flight: html`<p>No worker holds a message of this queue at this moment.</p>`,
    delayed: html`<p>No message waits for its time. One does that is sent with a delay:</p>
<pre><code>select pgmq.send('${queue}', '{…}', 3600);  -- in an hour</code></pre>`,
    retrying: html`<p>No message waits to be tried again after a failure.</p>`,
    dead: html`<p>There are no dead letters. A message comes here when it cannot be processed: its payload is invalid, its attempts are used up, or its processor says so.</p>`,
    archived: html`<p>Nothing is archived. Messages that succeed come here, unless the processor deletes them.</p>`,
  }
  return html`<div class="empty">${words[state]}</div>`
}
