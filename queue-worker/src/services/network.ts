/** What connections need of the network: a private CA, and which family of addresses comes first. */

import { X509Certificate } from 'node:crypto'
import { setDefaultResultOrder } from 'node:dns'
import { readFileSync } from 'node:fs'
import * as tls from 'node:tls'
import { coerceError, SetupError } from '../errors.ts'

/**
 * Whom to trust: the system's authorities, and those of a PEM file, if there is one, which `setting` names.
 * @throws SetupError when the file cannot be read, or holds something that is no certificate.
 */
export function trustedAuthorities(caFile: string | undefined, setting = 'DATABASE_CA_FILE'): string[] {
  // With those of NODE_EXTRA_CA_CERTS where Node can tell them.
  const system =
    typeof tls.getCACertificates === 'function' ? tls.getCACertificates('default') : tls.rootCertificates
  return caFile === undefined ? [...system] : [...new Set([...system, ...readAuthorities(caFile, setting)])]
}

/**
 * Trusts the authorities of this file in the whole process, as fetch has no option for it.
 * @throws SetupError as trustedAuthorities does, and where Node cannot do that.
 */
export function trustAuthorities(caFile: string): void {
  if (typeof tls.setDefaultCACertificates !== 'function')
    throw new SetupError(
      'This version of Node cannot trust a further CA for HTTPS.',
      'Use Node 22.19 or 24.5 and later, or start it with NODE_EXTRA_CA_CERTS=<file> instead of DATABASE_CA_FILE.',
    )
  tls.setDefaultCACertificates(trustedAuthorities(caFile))
}

function readAuthorities(caFile: string, setting: string): string[] {
  try {
    const found = readFileSync(caFile, 'utf8').match(
      /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g,
    )
    if (found === null) throw new Error('it holds no certificate in PEM form')
    // A context for TLS is made of anything, and then trusts nobody.
    for (const pem of found) new X509Certificate(pem)
    return found
  } catch (thrown) {
    throw new SetupError(
      `The CA file ${caFile} of ${setting} cannot be used: ${coerceError(thrown).message}.`,
      `Set ${setting} to a PEM file that this process may read: its first line is -----BEGIN CERTIFICATE-----.`,
      { cause: thrown },
    )
  }
}

/** Tries IPv4 addresses first, in the whole process: for networks whose IPv6 leads nowhere. */
export function preferIpv4(): void {
  setDefaultResultOrder('ipv4first')
}
