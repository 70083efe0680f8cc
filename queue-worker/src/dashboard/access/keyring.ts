/** Who is known by a token: shown with the request itself, or entered a while ago. */
import type { IncomingMessage } from 'node:http'
import { shownToken } from '../../server/bearer.ts'
import { tokenFinder } from '../../server/tokens.ts'
import { cookiesNamed, cookieText } from './cookies.ts'
import { formToken } from './origin.ts'
import type { Proxies } from './proxies.ts'
import type { Door } from './refuse.ts'
import { type Holder, holderOf, newSession, SESSION_SECONDS, sessionHolder } from './session.ts'
import type { AccessSettings } from './settings.ts'

export type Session = Holder & { readonly csrf: string }

export type Keyring = {
  /** Null: it is not the right one. */
  holder(token: string): Holder | null
  /** Whose token this request shows by itself. */
  bearer(request: IncomingMessage): Holder | null
  session(request: IncomingMessage): Session | null
  begin(door: Door, holder: Holder): void
  end(door: Door): void
}

const COOKIE = 'queue_worker_session'

/** `now` is the wall clock. */
export function createKeyring(settings: AccessSettings, proxies: Proxies, now: () => number): Keyring {
  const { operatorTokens, viewerTokens } = settings
  const find = tokenFinder([...operatorTokens, ...viewerTokens])
  const holders = [
    ...operatorTokens.map((token) => holderOf(token, 'operator')),
    ...viewerTokens.map((token) => holderOf(token, 'viewer')),
  ]
  const holder = (token: string) => holders[find(token)] ?? null

  function setCookie({ request, response, base }: Door, value: string, maxAgeSeconds: number): void {
    const isSecure = proxies.wantsSecure(request)
    response.setHeader('set-cookie', cookieText(COOKIE, value, { path: base, isSecure, maxAgeSeconds }))
  }

  return {
    holder,
    bearer(request) {
      const token = shownToken(request)
      return token === undefined ? null : holder(token)
    },
    session({ headers }) {
      for (const cookie of cookiesNamed(COOKIE, headers.cookie)) {
        const found = sessionHolder(cookie, holders, now())
        if (found !== null) return { ...found, csrf: formToken(cookie, found.name) }
      }
      return null
    },
    begin: (door, found) => setCookie(door, newSession(found, now()), SESSION_SECONDS),
    end: (door) => setCookie(door, '', 0),
  }
}
