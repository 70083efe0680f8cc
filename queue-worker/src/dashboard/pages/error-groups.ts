/** What goes wrong in a queue, the most frequent first; each leads to the messages it befell. */
import type { ErrorGroup } from '../../queue/dashboard.ts'
import { changed, FILTERS } from '../chosen.ts'
import { ago, count } from '../format.ts'
import { type Html, html } from '../html.ts'
import { firstLine } from './message-list.ts'

const SHOWN = 8

type Place = {
  readonly base: string
  readonly queue: string
  readonly query: URLSearchParams
  readonly now: Date
}

export function errorGroups(groups: readonly ErrorGroup[], place: Place): Html {
  return html`<section aria-labelledby="errors-title"><h2 id="errors-title">Errors</h2>${
    groups.length === 0
      ? html`<p class="empty">No delivery failed in this period.</p>`
      : html`<div class="wide"><table class="errors"><caption class="hidden">Errors of the period, the most frequent first</caption>
<thead><tr><th scope="col" class="n">Times</th><th scope="col">Error</th><th scope="col">Outcome</th><th scope="col">Last</th></tr></thead>
<tbody>${groups.slice(0, SHOWN).map((group) => groupRow(group, place))}</tbody></table></div>${
          groups.length > SHOWN &&
          html`<p><small>and ${count(groups.length - SHOWN)} more kinds that are rarer</small></p>`
        }`
  }</section>`
}

const FATE: Readonly<Record<string, readonly [state: string, tone: string, word: string]>> = {
  dead: ['dead', 'bad', 'dead'],
  retry: ['retrying', 'warn', 'tried again'],
  snooze: ['delayed', 'quiet', 'put off'],
}

function groupRow(group: ErrorGroup, { base, queue, query, now }: Place): Html {
  const [state, tone, word] = FATE[group.outcome] ?? ['retrying', 'warn', group.outcome]
  const without = Object.fromEntries(FILTERS.map((name) => [name, null]))
  const error = state === 'delayed' ? null : commonPart(group.lastError)
  const to = `${changed(query, { ...without, state, error })}#messages`
  return html`<tr><td class="n">${count(group.count)}</td><td class="error"><a href="${to}" title="Messages with this error">${group.error}</a><small class="clip" title="${group.lastError}">${firstLine(group.lastError)}</small></td>
<td><span class="badge ${tone}">${word}</span></td>
<td><a href="${base}/queues/${queue}/messages/${group.lastMsgId}">${ago(group.lastAt, now)}</a></td></tr>`
}

/** What all errors of the group begin with: they differ in numbers, and after the first colon. */
export function commonPart(error: string): string {
  const [begin = ''] = error.split(/[\d:\n]/, 1)
  const part = begin.trim()
  return part.length >= 3 ? part.slice(0, 200) : error.slice(0, 200)
}
