/** What both transports need of the network: a private CA, and which family of addresses comes first. */

import { setDefaultResultOrder } from 'node:dns'
import { readFileSync } from 'node:fs'
import * as tls from 'node:tls'
import { coerceError, SetupError } from '../errors.ts'

/**
 * The certificates in a PEM file, which `setting` names.
 * @throws SetupError when it cannot be read or holds none.
 */
export function readAuthorities(caFile: string, setting = 'DATABASE_CA_FILE'): string[] {
  let pem: string
  try {
    pem = readFileSync(caFile, 'utf8')
  } catch (thrown) {
    throw new SetupError(
      `The CA file ${caFile} cannot be read.`,
      `Check ${setting}: it must be the path of a PEM file that this process may read.`,
      { cause: coerceError(thrown) },
    )
  }
  const found = pem.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g)
  if (found !== null) return found
  throw new SetupError(
    `The CA file ${caFile} holds no certificate.`,
    `${setting} must be a PEM file: its first line is -----BEGIN CERTIFICATE-----.`,
  )
}

/**
 * Trusts further authorities in the whole process, as fetch has no option for it.
 * @throws SetupError where Node cannot do that.
 */
export function trustAuthorities(authorities: readonly string[]): void {
  if (typeof tls.setDefaultCACertificates !== 'function')
    throw new SetupError(
      'This version of Node cannot trust a further CA for HTTPS.',
      'Use Node 22.19 or 24.5 and later, or start it with NODE_EXTRA_CA_CERTS=<file> instead of DATABASE_CA_FILE.',
    )
  tls.setDefaultCACertificates([...new Set([...systemAuthorities(), ...authorities])])
}

/** The authorities that Node trusts by default, with those of NODE_EXTRA_CA_CERTS where it can tell them. */
export function systemAuthorities(): readonly string[] {
  return typeof tls.getCACertificates === 'function' ? tls.getCACertificates('default') : tls.rootCertificates
}

/** Tries IPv4 addresses first, in the whole process: for networks whose IPv6 leads nowhere. */
export function preferIpv4(): void {
  setDefaultResultOrder('ipv4first')
}
