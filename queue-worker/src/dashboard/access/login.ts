/** Logging in with a token, and out again. */
import type { IncomingMessage } from 'node:http'
import { refuseBearer, shownToken } from '../../server/bearer.ts'
import { readForm } from '../../server/body.ts'
import type { Guesses } from '../../server/guesses.ts'
import { isSameText, tokenFinder } from '../../server/tokens.ts'
import type { Logger } from '../../utils/logger.ts'
import { type LoginProblem, loginPage, momentPage } from '../pages/login.ts'
import { sendReply } from '../reply.ts'
import { cookiesNamed, cookieText } from './cookies.ts'
import { formToken, isForeign } from './origin.ts'
import { ownPath } from './own-path.ts'
import { type Proxies, peerOf } from './proxies.ts'
import { type Door, dropBody, frame, isForPeople, refuse } from './refuse.ts'
import { type Holder, holderOf, newSession, SESSION_SECONDS, sessionHolder } from './session.ts'
import type { AccessSettings } from './settings.ts'

const COOKIE = 'queue_worker_session'
const MAX_FORM_BYTES = 16 * 1024
const WHERE = 'the dashboard'

export type LoginParts = {
  readonly settings: AccessSettings
  readonly proxies: Proxies
  readonly guesses: Guesses
  readonly logger: Pick<Logger, 'info'>
  /** The wall clock. */
  readonly now: () => number
}

export type Session = Holder & { readonly csrf: string }

export type Login = {
  /** Whose token this request shows by itself. */
  bearer(request: IncomingMessage): Holder | null
  session(request: IncomingMessage): Session | null
  /** True: the request was about logging in or out, and is answered. */
  took(door: Door): Promise<boolean>
  /** Asks for a token, and remembers where to go then. */
  ask(door: Door): null
}

export function createLogin({ settings, proxies, guesses, logger, now }: LoginParts): Login {
  const { operatorTokens, viewerTokens } = settings
  const find = tokenFinder([...operatorTokens, ...viewerTokens])
  const holders = [
    ...operatorTokens.map((token) => holderOf(token, 'operator')),
    ...viewerTokens.map((token) => holderOf(token, 'viewer')),
  ]
  const holder = (token: string) => holders[find(token)] ?? null

  function session({ headers }: IncomingMessage): Session | null {
    for (const cookie of cookiesNamed(COOKIE, headers.cookie)) {
      const found = sessionHolder(cookie, holders, now())
      if (found !== null) return { ...found, csrf: formToken(cookie, found.name) }
    }
    return null
  }

  return {
    bearer(request) {
      const token = shownToken(request)
      return token === undefined ? null : holder(token)
    },
    session,
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
      const token = shownToken(request)
      if (token !== undefined || !isForPeople(request)) {
        // A page that keeps itself up to date: its script goes there.
        if (request.headers['hx-request'] !== undefined) response.setHeader('hx-redirect', `${base}${to}`)
        refuseBearer(response, token === undefined ? null : guesses.countWrong(WHERE))
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
    const isIn = session(door.request) !== null
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
    const found = holder(token)
    if (found === null) {
      const seconds = guesses.countWrong(WHERE)
      if (seconds === 0) return again(door, next, WRONG)
      response.setHeader('retry-after', seconds)
      return again(door, next, { status: 429, message: `Too many wrong tokens. Wait ${seconds} seconds.` })
    }
    logger.info({ visitor: found.name, from: peerOf(request) }, `${found.name} logs in to the dashboard`)
    setCookie(door, newSession(found, now()), SESSION_SECONDS)
    const to = `/login?${new URLSearchParams({ next, entered: '1' })}`
    sendReply(response, { kind: 'redirect', to }, frame(door))
  }

  async function leave(door: Door): Promise<void> {
    const { request, response } = door
    const known = session(request)
    if (known !== null) {
      const form = await readForm(request, MAX_FORM_BYTES)
      const isOurs = isSameText(form?.get('csrf') ?? '', known.csrf)
      if (!isOurs || isForeign(request, proxies.hostsOf(request))) return void refuse(door, FOREIGN)
      setCookie(door, '', 0)
    } else dropBody(door)
    sendReply(response, { kind: 'redirect', to: '/login' }, frame(door))
  }

  function again(door: Door, next: string, problem: LoginProblem): void {
    dropBody(door)
    sendReply(door.response, loginPage(door.base, next, problem), frame(door))
  }

  function setCookie({ request, response, base }: Door, value: string, maxAgeSeconds: number): void {
    const isSecure = proxies.wantsSecure(request)
    response.setHeader('set-cookie', cookieText(COOKIE, value, { path: base, isSecure, maxAgeSeconds }))
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
