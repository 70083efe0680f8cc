/** Something that is done in bites: how far it is. It goes on by itself, or by its button where there is no JavaScript. */
import { count } from '../format.ts'
import { type Fields, hidden, proof } from '../forms.ts'
import { type Html, html } from '../html.ts'
import type { Visitor } from '../visitor.ts'

export type Progress = {
  /** "Dead letters of email_queue are sent back". */
  readonly title: string
  readonly done: number
  readonly total: number
  /** The whole path, base included. */
  readonly to: string
  readonly visitor: Visitor
  readonly fields: Fields
}

export function progress({ title, done, total, to, visitor, fields }: Progress): Html {
  return html`<section class="alone progress"><h1>${title}</h1>
<progress max="${total}" value="${done}" aria-label="${title}"></progress>
<p role="status">${count(done)} of ${count(total)} done</p>
<form class="row" id="goes-on" method="post" action="${to}" hx-post="${to}" hx-trigger="load" hx-select="main" hx-target="main" hx-swap="outerHTML">
${proof(visitor)}${hidden(fields)}
<button class="main">Go on</button><button name="stop" value="yes">Stop here</button></form>
<p><small>What is done stays done when you leave this page; the rest then waits.</small></p></section>`
}
