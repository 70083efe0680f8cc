/** People whom a reverse proxy has logged in, and names in a header. */
import type { IncomingMessage } from 'node:http'
import type { Role } from '../visitor.ts'
import type { Proxies } from './proxies.ts'
import type { Users } from './settings.ts'

export type Met =
  /** The header is not there. */
  | { readonly kind: 'nobody' }
  | { readonly kind: 'user'; readonly name: string; readonly role: Role }
  /** Named, but in no list. */
  | { readonly kind: 'stranger'; readonly name: string }
  /** The header came from an address that is not trusted. */
  | { readonly kind: 'untrusted' }
  /** Several names, or none that can be one. */
  | { readonly kind: 'unclear' }

const LONGEST_NAME = 200

export function meetUser(request: IncomingMessage, users: Users | null, proxies: Proxies): Met {
  const header = users?.header.toLowerCase()
  const given = header === undefined ? undefined : request.headersDistinct[header]
  if (users === null || given === undefined) return { kind: 'nobody' }
  if (!proxies.isTrusted(request)) return { kind: 'untrusted' }
  const [text = '', ...others] = given
  const name = decoded(text).trim()
  if (name === '' && others.length === 0) return { kind: 'nobody' }
  // A proxy that adds its header to that of the browser would pass on what the browser made up.
  if (others.length > 0 || name.length > LONGEST_NAME || /[\p{Cc},]/u.test(name)) return { kind: 'unclear' }
  const role = roleOf(name, users)
  return role === null ? { kind: 'stranger', name } : { kind: 'user', name, role }
}

function roleOf(name: string, { operators, viewers }: Users): Role | null {
  if (operators.includes(name)) return 'operator'
  return viewers.includes(name) || viewers.includes('*') ? 'viewer' : null
}

/** Node reads headers as Latin 1; proxies write UTF-8. */
function decoded(text: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(text, 'latin1'))
  } catch {
    return text
  }
}
