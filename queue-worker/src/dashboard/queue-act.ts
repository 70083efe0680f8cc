/** What a form of a queue asks for, as an action; many messages in bites. Pure. */
import type { Action } from '../queue/dashboard.ts'
import type { LetterFilter } from '../queue/operator.ts'
import { PageError } from './asked.ts'
import { numberOf } from './forms.ts'
import { choiceFields, readChoice } from './letter-choice.ts'

/** So that each is quick, whatever a message costs, and one can stop in between. */
const BITE = 100

export type Many = 'redrive' | 'discard' | 'retry_now'

/** How far something is that is done in bites, as its form carries it along. */
export type Errand = {
  readonly action: Many
  readonly queue: string
  readonly choice: LetterFilter
  /** The newest that is meant: what dies later is not. */
  readonly upToId: string | undefined
  readonly afterId: string | undefined
  readonly total: number
  readonly done: number
  /** Its first row in the audit. */
  readonly first: string | undefined
  readonly perSecond: number | undefined
  readonly forgetUncertain: boolean
  /** When the first bite was taken, in milliseconds. */
  readonly begunMs: number
}

export function isMany(action: string): action is Many {
  return action === 'redrive' || action === 'discard' || action === 'retry_now'
}

export function readErrand(queue: string, form: URLSearchParams, nowMs: number): Errand {
  const action = form.get('action') ?? ''
  if (!isMany(action))
    throw new PageError(400, 'There is no such action.', 'Go back to the queue, and choose again.')
  const choice = readChoice(form)
  const found = numberOf(form, 'total') ?? choice.msgIds?.length ?? 0
  return {
    ...{ action, queue, choice },
    upToId: idOf(form, 'up_to_id'),
    afterId: idOf(form, 'after_id'),
    total: Math.floor(Math.min(found, numberOf(form, 'limit') ?? found)),
    done: numberOf(form, 'done') ?? 0,
    first: idOf(form, 'first'),
    perSecond: numberOf(form, 'per_second') ?? undefined,
    forgetUncertain: form.get('forget_uncertain') === 'yes',
    begunMs: numberOf(form, 'begun') ?? nowMs,
  }
}

export function errandFields(errand: Errand): [string, string][] {
  const { action, choice, total, done, begunMs } = errand
  const fields: [string, string | number | undefined | false][] = [
    ['up_to_id', errand.upToId],
    ['after_id', errand.afterId],
    ['first', errand.first],
    ['per_second', errand.perSecond],
    ['forget_uncertain', errand.forgetUncertain && 'yes'],
  ]
  return [
    ['action', action],
    ...choiceFields(choice),
    ['total', `${total}`],
    ['done', `${done}`],
    ['begun', `${begunMs}`],
    ...fields.flatMap(([name, value]) =>
      value === undefined || value === false ? [] : [[name, `${value}`] as [string, string]],
    ),
  ]
}

export function biteOf(errand: Errand, nowMs: number): Action {
  const { action, queue, choice, upToId, afterId, total, done } = errand
  const { msgIds } = choice
  // What somebody selected was on one page.
  const limit = msgIds === undefined ? Math.min(BITE, total - done) : msgIds.length
  if (action === 'retry_now')
    return { action, queue, ...(msgIds === undefined ? { limit, begunWith: errand.first } : { msgIds }) }
  const letters = { queue, ...choice, upToId, afterId, limit }
  if (action === 'discard') return { action, ...letters, all: true }
  const { perSecond, forgetUncertain, begunMs } = errand
  // Delays grow over all bites: the database holds the pace, and nobody has to stay for it.
  const delaySeconds =
    perSecond === undefined ? undefined : Math.max(0, done / perSecond - (nowMs - begunMs) / 1000)
  return { action, ...letters, forgetUncertain, perSecond, delaySeconds }
}

/** Null: that was all of it. */
export function afterBite(
  errand: Errand,
  acted: { readonly auditId: string; readonly count: number; readonly lastId: string | null },
): Errand | null {
  const done = errand.done + acted.count
  const isOver =
    errand.choice.msgIds !== undefined ||
    acted.count === 0 ||
    done >= errand.total ||
    (errand.action !== 'retry_now' && (acted.lastId === null || acted.lastId === errand.upToId))
  if (isOver) return null
  return {
    ...errand,
    ...{ done, afterId: acted.lastId ?? undefined, first: errand.first ?? acted.auditId },
  }
}

function idOf(form: URLSearchParams, name: string): string | undefined {
  const id = form.get(name) ?? ''
  return /^\d{1,19}$/.test(id) ? id : undefined
}
