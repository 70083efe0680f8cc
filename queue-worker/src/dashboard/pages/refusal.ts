/** What was to be done and was not: why, what to do about it, and the same form again, so that nothing typed is lost. */
import { ConnectionFailure } from '../../errors.ts'
import type { Asked, Reply } from '../asked.ts'
import { hidden } from '../forms.ts'
import { html } from '../html.ts'

export type Attempt = {
  /** Where the form was sent, and where it leads back to, both below base. */
  readonly at: string
  readonly back: string
}

/** Runs it; a database that refuses or does not answer is told as a page. */
export async function attempted(asked: Asked, attempt: Attempt, run: () => Promise<Reply>): Promise<Reply> {
  try {
    return await run()
  } catch (error) {
    if (error instanceof ConnectionFailure) return refusal(asked, attempt, error)
    throw error
  }
}

function refusal({ base, form }: Asked, { at, back }: Attempt, failure: ConnectionFailure): Reply {
  const { message, remedy, transient, kind } = failure
  const title = transient ? 'The database gave no answer' : 'This was not done'
  const body = html`<section class="alone"><h1>${title}</h1>
<p class="said">${message} (${kind})</p>
<p>${remedy}</p>
${transient && html`<p>It is not known whether it was done. The <a href="${base}/audit">audit</a> tells: look there before you try again.</p>`}
<form class="row" method="post" action="${base}${at}">${hidden(form)}<button class="main">Try again</button><a class="button" href="${base}${back}">Go back</a></form></section>`
  return { kind: 'page', title, status: transient ? 503 : 409, body }
}
