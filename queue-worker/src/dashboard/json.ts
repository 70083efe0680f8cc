/** JSON as people read it: indented, coloured by what it is, and no longer than a page can bear. */
import { bytes } from './format.ts'
import { type Html, html } from './html.ts'
import { HIDDEN } from './mask.ts'

const MAX_STRING = 5000
const MAX_VALUES = 5000
const MAX_DEPTH = 60

export const DOTS = '••••••'

/** `budget`: so many values are shown; the others are told of. */
export function prettyJson(value: unknown): Html {
  const budget = { left: MAX_VALUES }
  return html`${shown(value, '\n', 0, budget)}${budget.left < 0 && html`\n<span class="j-note">… ${-budget.left} more values are not shown</span>`}`
}

/** On one line, for lists. */
export function briefJson(value: unknown): Html {
  return shown(value, '', 0, { left: 60 })
}

type Budget = { left: number }

function shown(value: unknown, line: string, depth: number, budget: Budget): Html {
  budget.left -= 1
  if (value === HIDDEN) return html`<span class="j-hidden" title="hidden: sensitive">"${DOTS}"</span>`
  if (typeof value === 'string') return stringShown(value)
  if (typeof value !== 'object' || value === null)
    return html`<span class="${typeof value === 'number' ? 'j-number' : 'j-word'}">${JSON.stringify(value) ?? 'null'}</span>`
  const isList = Array.isArray(value)
  const [open, close] = isList ? ['[', ']'] : ['{', '}']
  const entries: [string, unknown][] = Object.entries(value)
  if (entries.length === 0) return html`${open}${close}`
  if (depth >= MAX_DEPTH) return html`${open} <span class="j-note">…</span> ${close}`
  const inner = line === '' ? '' : `${line}  `
  const parts: Html[] = []
  for (const [key, one] of entries) {
    if (budget.left <= 0) {
      budget.left -= entries.length - parts.length
      parts.push(html`${inner}<span class="j-note">…</span>`)
      break
    }
    const name = !isList && html`<span class="j-key">${JSON.stringify(key)}</span>: `
    parts.push(html`${inner}${name}${shown(one, inner, depth + 1, budget)}`)
  }
  const comma = line === '' ? ', ' : ','
  return html`${open}${parts.map((part, index) => html`${index > 0 && comma}${part}`)}${line}${close}`
}

function stringShown(text: string): Html {
  const cut = text.length > MAX_STRING ? text.slice(0, MAX_STRING) : text
  return html`<span class="j-string">${JSON.stringify(cut)}</span>${cut !== text && html` <span class="j-note">… ${bytes(Buffer.byteLength(text))} in all</span>`}`
}
