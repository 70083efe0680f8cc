/** The life of a message as a timeline, and the steps that it has in the ledger. */
import type { Step } from '../../queue/operator.ts'
import { moment, span } from '../format.ts'
import { type Html, html } from '../html.ts'
import { prettyJson } from '../json.ts'
import { type Known, type LifeEvent, lifeOf } from '../life.ts'
import { HIDDEN } from '../mask.ts'
import { byName } from '../masks.ts'

export function timeline(found: Known, base: string): Html {
  const events = lifeOf(found)
  return html`<ol class="life">${events.map((event, index) => lifeEvent(event, sinceBefore(events, index), found, base))}</ol>`
}

function lifeEvent(event: LifeEvent, after: string | null, { queue }: Known, base: string): Html {
  const { title, tone, at, workerId, error, note, leadsTo } = event
  return html`<li class="${tone}"><div class="what"><strong>${title}</strong>${workerId && html` <span class="by">by ${workerId}</span>`}</div>
<div class="when">${at !== null && moment(at)}${after !== null && html` <small>${after}</small>`}</div>
${note !== undefined && html`<p>${leadsTo === undefined ? note : html`<a href="${base}/queues/${queue}/messages/${leadsTo}">${note}</a>`}</p>`}
${error && errorText(error)}</li>`
}

/** The first line says what it was; what follows, where. */
export function errorText(error: string): Html {
  const [first = '', ...rest] = error.split('\n')
  if (rest.length === 0) return html`<pre class="said">${error}</pre>`
  return html`<details><summary class="said">${first}</summary><pre class="said">${error}</pre></details>`
}

function sinceBefore(events: readonly LifeEvent[], index: number): string | null {
  const at = events[index]?.at
  const before = events
    .slice(0, index)
    .map((event) => event.at)
    .findLast((one) => one !== null)
  if (!at || !before) return null
  const seconds = (new Date(at).getTime() - new Date(before).getTime()) / 1000
  return seconds > 0 ? `+${span(seconds)}` : null
}

/** A result that has no names, a link or a token by itself perhaps, is for operators. */
export function stepsTable(steps: readonly Step[], isOperator: boolean): Html {
  const shown = (result: unknown) =>
    isOperator || (typeof result === 'object' && !Array.isArray(result)) ? byName(result) : HIDDEN
  return html`<section aria-labelledby="steps-title"><h2 id="steps-title">Steps</h2>
<p class="lead">What the processor did <code>once</code>: a redelivery gets the stored result instead of doing it again.</p>
<div class="wide" role="region" aria-label="Table of steps" tabindex="0"><table><caption class="hidden">Steps of the ledger</caption>
<thead><tr><th scope="col">Step</th><th scope="col">State</th><th scope="col">Started</th><th scope="col">Done</th><th scope="col">Result</th></tr></thead>
<tbody>${steps.map(
    ({ step, state, startedAt, startedBy, doneAt, result }) =>
      html`<tr><th scope="row">${step}</th><td>${
        state === 'done'
          ? html`<span class="badge good">done</span>`
          : html`<span class="badge warn" title="It began, and its end is not known.">started</span>`
      }</td><td>${moment(startedAt)}${startedBy !== null && html` <small>by ${startedBy}</small>`}</td><td>${moment(doneAt)}</td><td>${
        state === 'done' && html`<pre class="json small" tabindex="0">${prettyJson(shown(result))}</pre>`
      }</td></tr>`,
  )}</tbody></table></div></section>`
}
