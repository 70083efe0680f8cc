/** Where a token is entered, and what is shown to who may not enter. */
import type { Reply } from '../asked.ts'
import { type Html, html } from '../html.ts'

export type LoginProblem = { readonly status: number; readonly message: string }

/** Works without scripts. `next` is where to go afterwards, below the dashboard. */
export function loginPage(base: string, next: string, problem: LoginProblem | null): Reply {
  const told =
    problem !== null &&
    html`<div class="notice bad" role="alert" id="problem"><p>${problem.message}</p></div>`
  const describedBy = problem === null ? 'hint' : 'problem hint'
  const body = html`<section class="alone"><h1>Log in</h1>
${told}
<form method="post" action="${base}/login">
<input type="hidden" name="next" value="${next}">
<input type="text" name="username" value="queue-worker" autocomplete="username" hidden readonly>
<p><label>Token <input type="password" name="token" size="44" required autofocus autocomplete="current-password" spellcheck="false" autocapitalize="off" aria-describedby="${describedBy}"${problem !== null && html` aria-invalid="true"`}></label></p>
<p><button class="main">Log in</button></p>
</form>
<p id="hint"><small>With <code>ADMIN_TOKEN</code> of this worker you look and act, with <code>VIEWER_TOKEN</code> you look. Whoever runs the worker has them, in its environment or its <code>.env</code>.</small></p></section>`
  return { kind: 'page', title: 'Log in', body, status: problem?.status ?? 200 }
}

/** The browser keeps the session from whom another site sends; a page of ours asks again, and gets it. */
export function momentPage(to: string): Reply {
  const body = html`<section class="alone"><h1>One moment</h1><p><a href="${to}">Go on</a></p></section>`
  return { kind: 'page', title: 'One moment', body }
}

export function refusedPage(
  refusal: {
    readonly status: number
    readonly message: string
    readonly remedy: string
    readonly canLogIn?: boolean
  },
  base: string,
): Reply {
  const { status, message, remedy, canLogIn = false } = refusal
  const login: Html | false = canLogIn && html`<p><a href="${base}/login">Log in with a token</a></p>`
  const body = html`<section class="alone"><h1>${message}</h1><p>${remedy}</p>${login}</section>`
  return { kind: 'page', title: message, status, body }
}
