/** Who may see the dashboard and who may act: chosen from the settings. */
import { randomBytes } from 'node:crypto'
import type { Guesses } from '../../server/guesses.ts'
import { isSameText } from '../../server/tokens.ts'
import type { Logger } from '../../utils/logger.ts'
import { createThrottle } from '../../utils/throttle.ts'
import type { Access, Visitor } from '../visitor.ts'
import { closedAccess } from './closed.ts'
import { cookiesNamed, cookieText } from './cookies.ts'
import { createKeyring } from './keyring.ts'
import { createLogin } from './login.ts'
import { openAccess } from './open.ts'
import { formToken, isForeign } from './origin.ts'
import { createProxies, type Proxies, peerOf } from './proxies.ts'
import { type Door, type Refusal, refuse } from './refuse.ts'
import { type AccessSettings, asksNothing } from './settings.ts'
import { meetUser } from './users.ts'

export type AccessParts = {
  /** Shared with everything else that asks for a token. */
  readonly guesses: Guesses
  readonly logger: Pick<Logger, 'info' | 'warn'>
  /** The wall clock. */
  readonly now?: () => number
}

/** The cookie of who is known by a header: all that their forms are made from. */
const FORM_COOKIE = 'queue_worker_form'
const TELL_EVERY_MS = 60_000

export function createAccess(settings: AccessSettings, parts: AccessParts): Access & Pick<Proxies, 'baseOf'> {
  const { path, users, operatorTokens, viewerTokens, trustedProxies } = settings
  const { guesses, logger, now = Date.now } = parts
  const proxies = createProxies(trustedProxies, path)
  const { baseOf } = proxies
  if (asksNothing(settings)) return { ...(settings.isOnThisMachine ? openAccess() : closedAccess()), baseOf }

  const hasTokens = operatorTokens.length + viewerTokens.length > 0
  const keyring = createKeyring(settings, proxies, now)
  const login = createLogin({ keyring, proxies, guesses, logger })
  let untrusted = ''
  const tellUntrusted = createThrottle(
    () =>
      logger.warn(
        { from: untrusted },
        `${users?.header} came from ${untrusted}, which is not in DASHBOARD_TRUSTED_PROXIES; told once a minute`,
      ),
    TELL_EVERY_MS,
  )

  return {
    baseOf,
    async admit(request, response, base) {
      const door: Door = { request, response, base, at: (request.url ?? '').slice(path.length) }
      const met = meetUser(request, users, proxies)
      if (met.kind === 'untrusted') {
        untrusted = peerOf(request)
        tellUntrusted.call()
        return refuse(door, UNTRUSTED)
      }
      const script = keyring.bearer(request)
      if (script !== null) return visitor(script, '', false)
      if (hasTokens && (await login.took(door))) return null
      const session = keyring.session(request)
      if (session !== null) return visitor(session, session.csrf, true)
      if (met.kind === 'user') return visitor(met, userForm(door, met.name), false)
      if (met.kind === 'unclear') return refuse(door, UNCLEAR)
      if (met.kind === 'stranger') return refuse(door, { ...stranger(met.name), canLogIn: hasTokens })
      return hasTokens ? login.ask(door) : refuse(door, NAMELESS)
    },
    // Whoever shows the token itself was not sent by another site: no browser adds it by itself.
    isOurs: (request, { csrf }, form) =>
      !isForeign(request, proxies.hostsOf(request)) &&
      (keyring.bearer(request) !== null || isSameText(form.get('csrf') ?? '', csrf)),
  }

  /** What the forms of a user bring back, from a cookie that is made where there is none. */
  function userForm({ request, response, base }: Door, name: string): string {
    const [known] = cookiesNamed(FORM_COOKIE, request.headers.cookie).filter((one) => /^[\w-]{32}$/.test(one))
    const cookie = known ?? randomBytes(24).toString('base64url')
    if (known === undefined) {
      const isSecure = proxies.wantsSecure(request)
      response.setHeader('set-cookie', cookieText(FORM_COOKIE, cookie, { path: base, isSecure }))
    }
    return formToken(cookie, name)
  }
}

function visitor({ name, role }: Pick<Visitor, 'name' | 'role'>, csrf: string, canLogOut: boolean): Visitor {
  return { name, role, csrf, canLogOut }
}

const UNTRUSTED: Refusal = {
  status: 403,
  message: 'This request names a user, and does not come from a trusted proxy.',
  remedy: "The worker's log tells its address; DASHBOARD_TRUSTED_PROXIES has those that are believed.",
}
const UNCLEAR: Refusal = {
  status: 403,
  message: 'The reverse proxy does not name one user.',
  remedy: 'Let it set the header of DASHBOARD_USER_HEADER, in place of whatever the browser sent.',
}
const NAMELESS: Refusal = {
  status: 403,
  message: 'Nobody has told who you are.',
  remedy: 'Come through the reverse proxy that logs people in.',
}
const stranger = (name: string): Refusal => ({
  status: 403,
  message: `${name} may not see this dashboard.`,
  remedy: 'Whoever runs the worker lets people in with DASHBOARD_VIEWERS and DASHBOARD_OPERATORS.',
})
