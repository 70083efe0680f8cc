/** Whom callbacks trust beside the system's authorities. */
import { X509Certificate } from 'node:crypto'
import { createSecureContext, type SecureContext } from 'node:tls'
import { coerceError, SetupError } from '../../errors.ts'
import { readAuthorities, systemAuthorities } from '../network.ts'

/**
 * Made once: reading all of the system's authorities anew for each connection would keep the worker busy.
 * @throws SetupError when the PEM file of HTTP_CALLBACKS_CA_FILE cannot be used.
 */
export function trusting(caFile: string): SecureContext {
  const authorities = readAuthorities(caFile, 'HTTP_CALLBACKS_CA_FILE')
  try {
    // A context is made of anything, and then trusts nobody.
    for (const pem of authorities) new X509Certificate(pem)
    return createSecureContext({ ca: [...systemAuthorities(), ...authorities] })
  } catch (thrown) {
    throw new SetupError(
      `The CA file ${caFile} holds something that is no certificate (${coerceError(thrown).message}).`,
      'Set HTTP_CALLBACKS_CA_FILE to a PEM file with the certificate of the authority.',
      { cause: thrown },
    )
  }
}
