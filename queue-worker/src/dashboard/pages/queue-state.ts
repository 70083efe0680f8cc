/** How a queue is, as one badge with a word: the first thing a person on call looks for. */
import type { QueueOverview } from '../../queue/operator.ts'
import { type Html, html } from '../html.ts'

export type State = {
  readonly word: string
  readonly tone: 'good' | 'warn' | 'bad' | 'quiet'
  readonly why: string
}

/** The gravest comes first. Pure. */
export function stateOf(queue: QueueOverview): State {
  const { paused, breaker, rateLimit, workers, ready } = queue
  if (paused) return { word: 'paused', tone: 'warn', why: 'Somebody has paused it: nothing is read.' }
  if (workers === 0 && ready > 0)
    return {
      word: 'no worker',
      tone: 'bad',
      why: 'Messages wait, and no worker of this queue has told of itself lately.',
    }
  if (breaker !== null)
    return { word: `breaker ${breaker.state.replace('_', '-')}`, tone: 'bad', why: breaker.reason }
  if (workers === 0)
    return { word: 'no worker', tone: 'quiet', why: 'Nothing waits. No worker serves it now.' }
  if (rateLimit !== null) return { word: 'limited', tone: 'good', why: 'It runs, within its rate limit.' }
  return { word: 'running', tone: 'good', why: 'It is read.' }
}

export function stateBadge(queue: QueueOverview): Html {
  const { word, tone, why } = stateOf(queue)
  return html`<span class="badge ${tone}" title="${why}">${word}</span>`
}
