/** What is about to be done to many messages: how many, what it means, whether it can be undone. Nothing is done yet. */
import { survey } from '../../queue/letter-bites.ts'
import type { LetterFilter } from '../../queue/operator.ts'
import { type Asked, type Page, PageError } from '../asked.ts'
import { count } from '../format.ts'
import { hidden, proof, queueOf } from '../forms.ts'
import { type Html, html } from '../html.ts'
import { choiceFields, readChoice, tellChoice } from '../letter-choice.ts'
import { isMany, type Many } from '../queue-act.ts'

export const confirmPage: Page = {
  pattern: /^\/queues\/([^/]+)\/confirm$/,
  method: 'GET',
  role: 'operator',
  async answer(asked) {
    const { found, query } = asked
    const queue = queueOf(found)
    const action = query.get('action') ?? ''
    if (!isMany(action))
      throw new PageError(404, 'There is no such action.', 'Go back to the queue, and choose again.')
    const choice = readChoice(query)
    if (query.has('selected') && choice.msgIds === undefined)
      throw new PageError(
        400,
        'No message was selected.',
        'Go back to the list, mark those that you mean in their first column, and try again.',
      )
    const meant =
      action === 'retry_now' ? await waiting(asked, queue, choice) : await dead(asked, queue, choice)
    const { title } = WORDS[action]
    return {
      kind: 'page',
      title: `${title} · ${queue}`,
      body: question(asked, { queue, action, choice, meant }),
    }
  },
}

/** How many there are; those that die later are not meant. */
type Meant = {
  readonly howMany: number
  readonly isWhole: boolean
  readonly upToId: string | undefined
  readonly reasons: Readonly<Record<string, number>>
}

const COUNT_MS = 3000

async function dead({ ground }: Asked, queue: string, choice: LetterFilter): Promise<Meant> {
  const enough = performance.now() + COUNT_MS
  const counted = await ground.ask((asked) => survey(asked, queue, choice, () => performance.now() < enough))
  const { letters, reasons, stretches, isWhole } = counted
  return { howMany: letters, isWhole, reasons, upToId: stretches.at(-1)?.upToId }
}

async function waiting({ ground }: Asked, queue: string, { msgIds }: LetterFilter): Promise<Meant> {
  const rest = { isWhole: true, upToId: undefined, reasons: {} }
  if (msgIds !== undefined) return { howMany: msgIds.length, ...rest }
  const [overview] = await ground.ask((asked) => asked.overview([queue]))
  if (overview === undefined)
    throw new PageError(404, `There is no queue ${queue}.`, 'The overview lists those there are.')
  return { howMany: overview.retrying, ...rest }
}

type Question = {
  readonly queue: string
  readonly action: Many
  readonly choice: LetterFilter
  readonly meant: Meant
}

function question(asked: Asked, { queue, action, choice, meant }: Question): Html {
  const { base, visitor } = asked
  const at = `${base}/queues/${queue}`
  const { title, means, undo, button, thing } = WORDS[action]
  const { howMany, isWhole, upToId } = meant
  const things = `${count(howMany)} ${thing}${howMany === 1 ? '' : 's'}`
  if (howMany === 0)
    return html`<section class="alone"><h1>${title}</h1><p class="empty">There is no ${thing} of ${queue} ${tellChoice(choice)}. Somebody else may have been quicker, or a worker.</p><p><a href="${at}">Back to ${queue}</a></p></section>`
  const fields: [string, string][] = [
    ['action', action],
    ...choiceFields(choice),
    ['total', `${howMany}`],
    ...(upToId === undefined || choice.msgIds !== undefined
      ? []
      : [['up_to_id', upToId] as [string, string]]),
  ]
  return html`<section class="alone"><h1>${title}</h1>
<p class="meant"><strong>${things}</strong> of <a href="${at}">${queue}</a> ${tellChoice(choice)}</p>
${!isWhole && html`<p>There are more: these are the oldest, as far as they were counted now.</p>`}
${reasonsOf(meant)}
<p>${means(queue)}</p>
<p>${undo}</p>
<form class="fields" method="post" action="${at}/act">${proof(visitor)}${hidden(fields)}
${choice.msgIds === undefined && html`<label>At most<input name="limit" inputmode="numeric" pattern="[0-9, ]*" placeholder="${count(howMany)}" aria-describedby="limit-help"></label><p class="help" id="limit-help">The oldest first. Empty: all of them.</p>`}
${action === 'redrive' && redriveFields()}
<p class="row"><button class="${action === 'discard' ? 'danger' : 'main'}">${button}</button><a class="button" href="${at}">Cancel</a></p></form></section>`
}

function reasonsOf({ reasons }: Meant): Html | false {
  const entries = Object.entries(reasons)
  if (entries.length === 0) return false
  return html`<ul class="reasons" aria-label="Why they died">${entries.map(([reason, howMany]) => html`<li><span class="badge">${reason}</span> ${count(howMany)}</li>`)}</ul>`
}

function redriveFields(): Html {
  return html`<label>At most this many a second<input name="per_second" inputmode="decimal" pattern="[0-9.]*" placeholder="as fast as the worker can" aria-describedby="pace-help"></label><p class="help" id="pace-help">For what others cannot take all at once. The database holds the pace: nobody has to stay.</p>
<label class="check"><input type="checkbox" name="forget_uncertain" value="yes" aria-describedby="uncertain-help"> Do again what may have been done</label><p class="help" id="uncertain-help">Steps whose end is not known, such as a mail that may have left, run again. Look first whether they happened.</p>`
}

const WORDS: Readonly<
  Record<
    Many,
    {
      readonly title: string
      readonly button: string
      readonly thing: string
      readonly means: (queue: string) => string
      readonly undo: string
    }
  >
> = {
  redrive: {
    title: 'Send dead letters back',
    button: 'Send back',
    thing: 'dead letter',
    means: (queue) =>
      `Each goes back to ${queue}, to be tried again as often as a new message. It stays the same message to others: what was paid is not paid again.`,
    undo: 'This can be undone for those that no worker has read yet.',
  },
  discard: {
    title: 'Discard dead letters',
    button: 'Discard',
    thing: 'dead letter',
    means: (queue) => `They go to the archive of ${queue}_dlq, and nobody tries them again.`,
    undo: 'This can be undone until that archive is pruned.',
  },
  retry_now: {
    title: 'Retry now',
    button: 'Retry now',
    thing: 'message',
    means: (queue) =>
      `They are due now: a worker of ${queue} reads them as soon as it can, instead of when their delay is over.`,
    undo: 'This cannot be undone. It is one of their attempts, and they come again if it fails.',
  },
}
