/** Whether a request came from one of our own pages. Pure. */
import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'

/**
 * The browser says that another site made it. Programs say nothing, and are not foreign for that: what they need is the
 * text of the form. `hosts` are the names by which this server is asked.
 */
export function isForeign({ headers }: IncomingMessage, hosts: readonly string[]): boolean {
  const site = headers['sec-fetch-site']
  // No page can set it. Where it is missing (plain HTTP, old browsers) there is the origin.
  if (site !== undefined) return site !== 'same-origin' && site !== 'none'
  if (headers.origin === undefined) return false
  const origin = URL.parse(headers.origin)
  return (
    origin === null || !hosts.some((host) => URL.parse(`${origin.protocol}//${host}`)?.host === origin.host)
  )
}

/** What each form of a session must bring back: made from the cookie, which no page can read, and useless for another user's. */
export function formToken(cookie: string, name: string): string {
  return createHash('sha256').update(`queue-worker form\n${name}\n${cookie}`).digest('base64url')
}
