/** One queue: how it fares over time, what goes wrong, and its messages. */
import type { MessagesOptions } from '../../queue/dashboard.ts'
import { type Asked, type Page, PageError } from '../asked.ts'
import { FILTERS, isFiltered, readChosen } from '../chosen.ts'
import { html } from '../html.ts'
import { isHidden } from '../mask.ts'
import { maskOrAll } from '../masks.ts'
import { readPeriod } from '../period.ts'
import { errorGroups } from './error-groups.ts'
import { messageFilter } from './message-filter.ts'
import { messageList, stateTabs } from './message-list.ts'
import { canSelect, selectionActions } from './queue-actions.ts'
import { queueCharts } from './queue-charts.ts'
import { queueHead } from './queue-head.ts'

export const queuePage: Page = {
  pattern: /^\/queues\/([^/]+)$/,
  method: 'GET',
  role: 'viewer',
  async answer(asked) {
    const { ground, base, query, visitor } = asked
    const [queue = ''] = asked.found
    if (queue.endsWith('_dlq'))
      return { kind: 'redirect', to: `/queues/${encodeURIComponent(queue.slice(0, -4))}?state=dead` }
    const chosen = readChosen(query)
    refuseHidden(chosen, asked, queue)
    const period = readPeriod(query, new Date())
    const glance = await ground.ask((one) => one.glance([queue]))
    const known = glance.queues.find((one) => one.queue === queue)
    if (known === undefined)
      throw new PageError(404, `There is no queue "${queue}".`, 'The overview names them all.')
    const [groups, page] = await Promise.all([
      ground.ask((one) => one.errorGroups(queue, period)),
      ground.ask((one) => one.messages(queue, chosen)),
    ])
    const now = new Date(glance.now)
    const isOperator = visitor.role === 'operator'
    const body = html`${queueHead(known, glance, base, visitor)}
${queueCharts(queue, period, query, base)}
${errorGroups(groups, { base, queue, query, now })}
<section aria-labelledby="messages"><h2 id="messages">Messages</h2>
${stateTabs(known, chosen.state, query)}
${messageFilter(chosen, { base, queue, query, isOperator })}
${selectionActions(queue, chosen.state, filterOf(query, chosen.state), visitor, base)}
${messageList(page, chosen, { base, queue, query, now, mask: maskOrAll(ground, queue), canChoose: canSelect(chosen.state, visitor) })}</section>`
    // Whoever leafs through a list, or looks for something, does not want it to move.
    const live = chosen.after === undefined && !isFiltered(chosen)
    return { kind: 'page', title: queue, body, live }
  },
}

/** What may not be seen may not be guessed by searching for it either. */
function refuseHidden({ search, text }: MessagesOptions, { ground, visitor }: Asked, queue: string): void {
  if (visitor.role === 'operator') return
  const mask = maskOrAll(ground, queue)
  // The text of an object or list has all that is in it.
  const isWhole = search !== undefined && /^\s*[[{]/.test(search.value)
  if (text !== undefined || isWhole || (search !== undefined && isHidden(mask, search.path)))
    throw new PageError(
      403,
      'This would search what is hidden from you.',
      'Search for a field that is shown, or log in as an operator.',
    )
}

/** What the list is filtered by, in the words of the actions. */
function filterOf(query: URLSearchParams, state: string): URLSearchParams {
  const filter = new URLSearchParams({ state })
  for (const name of FILTERS) filter.set(name === 'from' ? 'since' : name, query.get(name) ?? '')
  return filter
}

/** From the field for an id to the page of that message. */
export const findPage: Page = {
  pattern: /^\/queues\/([^/]+)\/find$/,
  method: 'GET',
  role: 'viewer',
  async answer({ found: [queue = ''], query }) {
    const id = query.get('id')?.trim() ?? ''
    if (!/^\d{1,19}$/.test(id))
      throw new PageError(400, 'This is no id of a message.', 'An id is a number, such as 1234.')
    return { kind: 'redirect', to: `/queues/${encodeURIComponent(queue)}/messages/${id}` }
  },
}
