/** What reverse proxies tell of a request: believed only from the addresses that are trusted. */
import type { IncomingMessage } from 'node:http'
import { isLoopback } from '../../utils/loopback.ts'
import { type Network, networkMatcher } from '../../utils/networks.ts'
import { plainPrefix } from './own-path.ts'

export type Proxies = {
  isTrusted(request: IncomingMessage): boolean
  /** The path of the dashboard as the browser sees it. */
  baseOf(request: IncomingMessage): string
  /** The names by which this server is asked. */
  hostsOf(request: IncomingMessage): string[]
  /** False only for plain HTTP to this machine by its own name, where there is no TLS and nobody who listens. */
  wantsSecure(request: IncomingMessage): boolean
}

export function createProxies(trusted: readonly Network[], path: string): Proxies {
  const matches = networkMatcher(trusted)
  const isTrusted = (request: IncomingMessage) => matches(peerOf(request))
  /** The first of several: what the browser spoke to. */
  const told = (request: IncomingMessage, name: string) =>
    isTrusted(request)
      ? String(request.headers[name] ?? '')
          .split(',')[0]
          ?.trim() || undefined
      : undefined
  return {
    isTrusted,
    baseOf: (request) => `${plainPrefix(told(request, 'x-forwarded-prefix'))}${path}`,
    hostsOf: (request) =>
      [request.headers.host, told(request, 'x-forwarded-host')].filter((host) => host !== undefined),
    // By its name alone: into a container the way from localhost is no longer one from a loopback address.
    wantsSecure: (request) =>
      told(request, 'x-forwarded-proto') === 'https' ||
      request.headers.origin?.startsWith('https:') === true ||
      !isLoopback(hostOf(request)),
  }
}

/** Who is at the other end of the connection; an IPv4 address within IPv6 as itself. */
export function peerOf({ socket }: IncomingMessage): string {
  return (socket.remoteAddress ?? '').replace(/^::ffff:(?=\d+\.)/i, '')
}

/** By its name too: a name of somebody else's that leads to 127.0.0.1 is another site's page. */
export function isWithinMachine(request: IncomingMessage): boolean {
  return isLoopback(hostOf(request)) && isLoopback(peerOf(request))
}

/** The name by which it is asked, without the port. */
function hostOf({ headers }: IncomingMessage): string {
  return (headers.host ?? '').replace(/:\d+$/, '')
}
