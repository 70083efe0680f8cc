/**
 * Keeps callbacks out of the network the worker stands in (server-side request forgery). A message's url may come from a
 * stranger, so what it leads to is checked: the url before each request, and every address that its name has, by the very
 * lookup whose answer is connected to. No second lookup could say something else.
 */
import { type LookupAddress, type LookupAllOptions, lookup as systemLookup } from 'node:dns'
import type { LookupFunction } from 'node:net'
import { networkInterfaces } from 'node:os'
import { UnrecoverableError } from '../../errors.ts'
import { familyOf, hostMatcher, networkMatcher, readHostPattern, readNetwork } from '../../utils/networks.ts'
import { isPublicAddress } from './public-addresses.ts'

export type GuardSettings = {
  /** Hosts (`hooks.internal`, `*.internal.example`), addresses and networks (`10.1.0.0/16`) that may be called though not public. */
  readonly allowPrivate: readonly string[]
  /** Undefined: any port. */
  readonly ports?: readonly number[] | undefined
  /** Asks for the addresses of a name; the system's by default. */
  readonly resolve?: Resolve | undefined
  /** The addresses of this machine; what its network interfaces have by default. */
  readonly ownAddresses?: (() => readonly string[]) | undefined
}

export type Resolve = (
  host: string,
  options: LookupAllOptions,
  done: (error: NodeJS.ErrnoException | null, found: LookupAddress[]) => void,
) => void

/** A url leads to where no callback may go. Final: the same url would be refused again. */
export class RefusedAddressError extends UnrecoverableError {
  override readonly name: string = 'RefusedAddressError'
}

export type AddressGuard = {
  /** Throws RefusedAddressError for another scheme than http(s), a login, a port, or an address that is not allowed. */
  checkUrl(url: URL): void
  /** For connecting: looks a name up, and fails with RefusedAddressError when one of its addresses is not allowed. */
  readonly lookup: LookupFunction
}

export function createAddressGuard(settings: GuardSettings): AddressGuard {
  const { allowPrivate, ports, resolve = systemLookup, ownAddresses = interfaceAddresses } = settings
  const isAllowedHost = hostMatcher(allowPrivate.flatMap((entry) => readHostPattern(entry) ?? []))
  const isAllowedAddress = networkMatcher(allowPrivate.flatMap((entry) => readNetwork(entry) ?? []))

  function checkAddress(address: string, name?: string): void {
    if (isAllowedAddress(address)) return
    const where = name === undefined ? address : `${name}, which is ${address},`
    const remedy = `If it is meant, add ${name ?? address} to HTTP_CALLBACKS_ALLOW_PRIVATE, restart the worker and redrive.`
    if (!isPublicAddress(address))
      throw new RefusedAddressError(`${where} is not on the public internet. ${remedy}`)
    // Public or not: a firewall in front of this machine does not see what it sends to itself.
    if (ownAddresses().includes(address))
      throw new RefusedAddressError(`${where} is this machine itself. ${remedy}`)
  }

  return {
    checkUrl(url) {
      if (url.protocol !== 'http:' && url.protocol !== 'https:')
        throw new RefusedAddressError(`a callback goes to http:// or https://, not ${url.protocol}//`)
      if (url.username !== '' || url.password !== '')
        throw new RefusedAddressError(
          'the url has a user or password in it; give an Authorization header instead',
        )
      const port = Number(url.port || (url.protocol === 'https:' ? 443 : 80))
      if (ports !== undefined && !ports.includes(port))
        throw new RefusedAddressError(`port ${port} is not one of HTTP_CALLBACKS_PORTS (${ports.join(', ')})`)
      // An address is connected to without a lookup. URL has brought every notation of it into the usual one.
      const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
      if (familyOf(host) !== undefined) checkAddress(host)
    },
    lookup(host, options, done) {
      resolve(host, { ...options, all: true }, (error, found) => {
        const refused = error ?? (isAllowedHost(host) ? null : firstRefusal(host, found))
        const [first] = found ?? []
        if (refused !== null) done(refused, [])
        else if (first === undefined)
          done(Object.assign(new Error(`${host} has no address`), { code: 'ENODATA' }), [])
        else if (options.all) done(null, found)
        else done(null, first.address, first.family)
      })
    },
  }

  /** All must be allowed: of a name that leads both in and out, nobody knows which one will be tried. */
  function firstRefusal(host: string, found: readonly LookupAddress[]): Error | null {
    try {
      for (const { address } of found) checkAddress(address, host)
      return null
    } catch (refused) {
      if (refused instanceof RefusedAddressError) return refused
      throw refused
    }
  }
}

function interfaceAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address))
}
