/** Logging in with a token, and out again. */
import { refuseBearer, shownToken } from '../../server/bearer.ts'
import { readForm } from '../../server/body.ts'
import type { Guesses } from '../../server/guesses.ts'
import { isSameText } from '../../server/tokens.ts'
import type { Logger } from '../../utils/logger.ts'
import { type LoginProblem, loginPage, momentPage } from '../pages/login.ts'
import { sendReply } from '../reply.ts'
import type { Keyring } from './keyring.ts'
import { isForeign } from './origin.ts'
import { ownPath } from './own-path.ts'
import { type Proxies, peerOf } from './proxies.ts'
import { type Door, dropBody, frame, isForPeople, refuse } from './refuse.ts'

const MAX_FORM_BYTES = 16 * 1024
const WHERE = 'the dashboard'

export type LoginParts = {
  readonly keyring: Keyring
  readonly proxies: Proxies
  readonly guesses: Guesses
  readonly logger: Pick<Logger, 'info'>
}

export type Login = {
  /** True: the request was about logging in or out, and is answered. */
  took(door: Door): Promise<boolean>
  /** Asks for a token, and remembers where to go then. */
  ask(door: Door): null
}

export function createLogin({ keyring, proxies, guesses, logger }: LoginParts): Login {
  return {
    async took(door) {
      const isPost = door.request.method === 'POST'
      const [path] = door.at.split('?')
      if (path === '/login') await (isPost ? enter(door) : show(door))
      else if (path === '/logout' && isPost) await leave(door)
      else return false
      return true
    },
    ask(door) {
      const { request, response, base } = door
      dropBody(door)
      const to = `/login?${new URLSearchParams({ next: pageOf(door) })}`
      const closedForSeconds = shownToken(request) === undefined ? null : guesses.countWrong(WHERE)
      // A browser goes on to the login whatever a proxy has put there for others.
      if (!isForPeople(request) || (closedForSeconds ?? 0) > 0) {
        // A page that keeps itself up to date: its script goes there.
        if (request.headers['hx-request'] !== undefined) response.setHeader('hx-redirect', `${base}${to}`)
        refuseBearer(response, closedForSeconds)
        return null
      }
      if (!isForeign(request, proxies.hostsOf(request)))
        sendReply(response, { kind: 'redirect', to }, frame(door))
      else {
        response.setHeader('refresh', `0; url=${base}${to}`)
        sendReply(response, momentPage(`${base}${to}`), frame(door))
      }
      return null
    },
  }

  function show(door: Door): void {
    const query = new URLSearchParams(door.at.split('?')[1] ?? '')
    const next = ownPath(query.get('next'))
    // It was right a moment ago, and has not come back.
    const problem = query.has('entered') ? LOST : null
    const isIn = keyring.session(door.request) !== null
    const reply = isIn ? ({ kind: 'redirect', to: next } as const) : loginPage(door.base, next, problem)
    sendReply(door.response, reply, frame(door))
  }

  async function enter(door: Door): Promise<void> {
    const { request, response } = door
    if (isForeign(request, proxies.hostsOf(request))) return void refuse(door, FOREIGN)
    const form = await readForm(request, MAX_FORM_BYTES)
    if (form === null) return again(door, '/', { status: 413, message: 'This is no form with a token.' })
    const next = ownPath(form.get('next'))
    const token = (form.get('token') ?? '').trim()
    if (token === '') return again(door, next, { status: 400, message: 'Enter a token.' })
    const found = keyring.holder(token)
    if (found === null) {
      const seconds = guesses.countWrong(WHERE)
      if (seconds === 0) return again(door, next, WRONG)
      response.setHeader('retry-after', seconds)
      return again(door, next, { status: 429, message: `Too many wrong tokens. Wait ${seconds} seconds.` })
    }
    logger.info({ visitor: found.name, from: peerOf(request) }, `${found.name} logs in to the dashboard`)
    keyring.begin(door, found)
    const to = `/login?${new URLSearchParams({ next, entered: '1' })}`
    sendReply(response, { kind: 'redirect', to }, frame(door))
  }

  async function leave(door: Door): Promise<void> {
    const { request, response } = door
    const known = keyring.session(request)
    if (known !== null) {
      const form = await readForm(request, MAX_FORM_BYTES)
      const isOurs = isSameText(form?.get('csrf') ?? '', known.csrf)
      if (!isOurs || isForeign(request, proxies.hostsOf(request))) return void refuse(door, FOREIGN)
      keyring.end(door)
    } else dropBody(door)
    sendReply(response, { kind: 'redirect', to: '/login' }, frame(door))
  }

  function again(door: Door, next: string, problem: LoginProblem): void {
    dropBody(door)
    sendReply(door.response, loginPage(door.base, next, problem), frame(door))
  }
}

const WRONG: LoginProblem = {
  status: 401,
  message:
    'This token is not the right one. Take the whole value, without the name before it and quotes around it.',
}
const LOST: LoginProblem = {
  status: 400,
  message:
    'The token was right, but your browser has not kept the session. Over plain HTTP it does so for this machine alone: use https://, or a tunnel (ssh -L) to localhost. Otherwise allow cookies for this page.',
}
const FOREIGN = {
  status: 403,
  message: 'This form did not come from this page.',
  remedy: 'Load the page again, and try once more.',
}

/** What somebody was looking at: the page that a form was sent from, not where it was sent to. */
function pageOf({ request, base, at }: Door): string {
  if (request.method !== 'POST') return ownPath(at)
  const from = URL.parse(request.headers.referer ?? '')
  const path = `${from?.pathname ?? ''}${from?.search ?? ''}`
  return path.startsWith(`${base}/`) ? ownPath(path.slice(base.length)) : '/'
}
