/** What forms have in common: hidden fields, the proof that they are ours, and the way back. */
import { isQueueName } from '../queue/sends.ts'
import { PageError } from './asked.ts'
import { type Html, html } from './html.ts'
import type { Visitor } from './visitor.ts'

export type Fields = Iterable<readonly [name: string, value: string]>

export function hidden(fields: Fields): Html {
  return html`${[...fields].map(([name, value]) => html`<input type="hidden" name="${name}" value="${value}">`)}`
}

/** Without it nothing is changed. */
export function proof({ csrf }: Visitor): Html {
  return hidden([['csrf', csrf]])
}

export type ButtonForm = {
  /** The whole path, base included. */
  readonly to: string
  readonly visitor: Visitor
  readonly fields: Fields
  readonly label: string
  readonly look?: 'main' | 'danger' | 'quiet'
}

/** A single button that acts. */
export function buttonForm({ to, visitor, fields, label, look }: ButtonForm): Html {
  return html`<form class="button-form" method="post" action="${to}">${proof(visitor)}${hidden(fields)}<button class="${look}">${label}</button></form>`
}

/** Where the form wants to lead afterwards: only within the dashboard. */
export function backOf(form: URLSearchParams, otherwise: string): string {
  const back = form.get('back') ?? ''
  return /^\/(?![/\\])[\x21-\x5b\x5d-\x7e]*$/.test(back) ? back : otherwise
}

/** The same place with one field of its query set anew; null takes it away. */
export function withField(path: string, name: string, value: string | null): string {
  const [place = '', query = ''] = path.split('?')
  const fields = new URLSearchParams(query)
  fields.delete(name)
  if (value !== null) fields.set(name, value)
  return fields.size > 0 ? `${place}?${fields}` : place
}

/** The queue that a path names. */
export function queueOf([name = '']: readonly string[]): string {
  if (isQueueName(name)) return name
  throw new PageError(404, 'There is no such queue.', 'The overview lists those there are.')
}

/** A number above 0 that somebody typed; null where nothing was. */
export function numberOf(form: URLSearchParams, name: string): number | null {
  const text = (form.get(name) ?? '').replaceAll(/[\s,_]/g, '')
  const value = Number(text)
  return text !== '' && Number.isFinite(value) && value > 0 ? value : null
}
