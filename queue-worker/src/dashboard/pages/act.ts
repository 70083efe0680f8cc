/** Does what a form of a queue asks for, and leads to the page that shows it. */
import type { Action } from '../../queue/dashboard.ts'
import type { Asked, Page, Reply } from '../asked.ts'
import { runText } from '../audit-run.ts'
import { backOf, queueOf, withField } from '../forms.ts'
import { afterBite, biteOf, type Errand, errandFields, readErrand } from '../queue-act.ts'
import { progress } from './progress.ts'
import { attempted } from './refusal.ts'

export const actPage: Page = {
  pattern: /^\/queues\/([^/]+)\/act$/,
  method: 'POST',
  role: 'operator',
  async answer(asked) {
    const queue = queueOf(asked.found)
    const back = backOf(asked.form, `/queues/${queue}`)
    const action = asked.form.get('action')
    return attempted(asked, { at: `/queues/${queue}/act`, back }, async () => {
      if (action !== 'pause' && action !== 'resume') return goOn(asked, queue, back)
      const { auditId } = await act(asked, { action, queue })
      return redirect(back, auditId)
    })
  },
}

/** Whoever loads the page of a progress again gets back to the queue. */
export const actedPage: Page = {
  pattern: actPage.pattern,
  method: 'GET',
  role: 'viewer',
  answer: async ({ found }) => ({ kind: 'redirect', to: `/queues/${queueOf(found)}` }),
}

export function act({ ground, visitor }: Asked, action: Action) {
  return ground.ask((queue) => queue.act(action, visitor.name))
}

export function redirect(back: string, notice: string): Reply {
  return { kind: 'redirect', to: withField(back, 'notice', notice) }
}

async function goOn(asked: Asked, queue: string, back: string): Promise<Reply> {
  const { form, visitor, base } = asked
  const errand = readErrand(queue, form, Date.now())
  if (form.get('stop') === 'yes') {
    if (errand.first === undefined) return { kind: 'redirect', to: back }
    return redirect(back, runText({ first: errand.first, last: null }))
  }
  const acted = await act(asked, biteOf(errand, Date.now()))
  const rest = afterBite(errand, acted)
  if (rest === null)
    return redirect(back, runText({ first: errand.first ?? acted.auditId, last: acted.auditId }))
  const title = TITLES[errand.action](queue)
  const body = progress({
    ...{ title, visitor, done: rest.done, total: rest.total },
    to: `${base}/queues/${queue}/act`,
    fields: [...errandFields(rest), ['back', back]],
  })
  return { kind: 'page', title, body }
}

const TITLES: Readonly<Record<Errand['action'], (queue: string) => string>> = {
  redrive: (queue) => `Dead letters of ${queue} are sent back`,
  discard: (queue) => `Dead letters of ${queue} are discarded`,
  retry_now: (queue) => `Messages of ${queue} are made due`,
}
