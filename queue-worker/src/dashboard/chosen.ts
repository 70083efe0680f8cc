/** Which messages of a queue a person chose to see, as the address of the page says it. */
import type { MessageState, MessagesOptions } from '../queue/dashboard.ts'
import { PageError } from './asked.ts'
import { readMoment } from './period.ts'

export const STATES: readonly { readonly state: MessageState; readonly name: string }[] = [
  { state: 'ready', name: 'Ready' },
  { state: 'in_flight', name: 'In flight' },
  { state: 'delayed', name: 'Delayed' },
  { state: 'retrying', name: 'Retrying' },
  { state: 'dead', name: 'Dead' },
  { state: 'archived', name: 'Archived' },
]

export const REASONS = ['invalid_payload', 'unrecoverable', 'attempts_exhausted', 'interruptions_exhausted']

/** What can be asked for, beside the state. */
export const FILTERS = ['field', 'value', 'text', 'error', 'reason', 'from', 'before'] as const

/** Where a page ended, as the database says it: a moment or an id, and two numbers. */
const PLACE = /^(\d{1,19}|\d{4,6}-[\d\-:. +]{5,40})\/\d{1,9}\/\d{1,9}$/

const hasError = (state: MessageState) => state === 'retrying' || state === 'dead'

export function readChosen(query: URLSearchParams): MessagesOptions {
  const asked = query.get('state') ?? 'ready'
  const state = STATES.find((one) => one.state === asked)?.state
  if (state === undefined)
    throw new PageError(400, `There is no state "${asked}".`, 'Choose one of the tabs of the queue.')
  const text = (name: string) => query.get(name)?.trim() || undefined
  const field = text('field')
  const after = text('after')
  if (after !== undefined && !PLACE.test(after))
    throw new PageError(400, 'There is no such page of this list.', 'Begin with its first one.')
  return {
    state,
    after,
    search: field === undefined ? undefined : { path: pathOf(field), value: query.get('value') ?? '' },
    text: text('text'),
    error: hasError(state) ? text('error') : undefined,
    reason: state === 'dead' ? text('reason') : undefined,
    since: readMoment(query, 'from'),
    before: readMoment(query, 'before'),
  }
}

/** "customer.addresses.0.city". */
export const pathOf = (field: string) => field.split('.').map((part) => part.trim())

export function isFiltered({ search, text, error, reason, since, before }: MessagesOptions): boolean {
  return [search, text, error, reason, since, before].some((one) => one !== undefined)
}

/** The address of the same page with something changed; null takes it away. `after` never outlives a change. */
export function changed(query: URLSearchParams, changes: Readonly<Record<string, string | null>>): string {
  const next = new URLSearchParams(query)
  next.delete('after')
  for (const [name, value] of Object.entries(changes)) {
    if (value === null) next.delete(name)
    else next.set(name, value)
  }
  for (const [name, value] of [...next]) if (value === '') next.delete(name)
  return next.size > 0 ? `?${next}` : '?'
}
