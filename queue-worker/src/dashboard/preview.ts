/** The beginning of a payload, for a line in a list: cut JSON made whole, so that what is sensitive can be taken out. Pure. */

import { type Html, html } from './html.ts'
import { briefJson } from './json.ts'
import { HIDDEN, type Mask } from './mask.ts'

export function preview(beginning: string, mask: Mask): Html {
  const whole = parsed(beginning)
  // What cannot be understood cannot be masked.
  if (whole === undefined) return html`<span class="j-note">not shown</span>`
  const masked = mask(whole.value)
  if (masked === HIDDEN) return html`<span class="j-note">hidden</span>`
  return html`${briefJson(masked)}${whole.isCut && html` <span class="j-note">…</span>`}`
}

function parsed(beginning: string): { value: unknown; isCut: boolean } | undefined {
  for (const [text, isCut] of [
    [beginning, false],
    [closed(beginning), true],
  ] as const) {
    try {
      return { value: JSON.parse(text), isCut }
    } catch {
      // It was cut, or is none.
    }
  }
  return undefined
}

/** Goes back to where the last whole value ended, and closes what is open there. A text that is cut is kept as far as it goes. */
function closed(text: string): string {
  const open: string[] = []
  let end = { at: 0, open: '' }
  let isText = false
  let isKey = false
  let begin = 0
  const mark = (at: number) => {
    end = { at, open: open.toReversed().join('') }
  }
  for (let at = 0; at < text.length; at++) {
    const char = text[at] ?? ''
    if (isText) {
      if (char === '\\') at++
      else if (char === '"') {
        isText = false
        if (!isKey) mark(at + 1)
      }
    } else if (char === '"') {
      isText = true
      begin = at
      isKey = open.at(-1) === '}' && /[{,]\s*$/.test(text.slice(0, at))
    } else if (char === '{' || char === '[') {
      open.push(char === '{' ? '}' : ']')
      mark(at + 1)
    } else if (char === '}' || char === ']') {
      open.pop()
      mark(at + 1)
    } else if (char === ',') mark(at)
  }
  if (!isText || isKey) return text.slice(0, end.at) + end.open
  const [whole = ''] = WHOLE.exec(text.slice(begin)) ?? []
  return `${text.slice(0, begin)}${whole}…"${open.toReversed().join('')}`
}

/** A text from its quote on, without an escape that was cut. */
const WHOLE = /^"(?:[^\\]|\\u[0-9a-f]{4}|\\[^u])*/i
