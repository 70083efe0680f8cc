/** The kinds of settings that only callbacks have. */
import { readHostPattern, readNetwork } from '../utils/networks.ts'
import { type Field, field, words } from './fields.ts'

/** Secrets of the Standard Webhooks scheme, separated by spaces or commas. */
export function signingSecrets(): Field<readonly string[]> {
  return field<readonly string[]>((text) => {
    const secrets = words(text)
    const isSound = secrets.every((secret) => {
      const [, base64 = ''] = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(secret) ?? []
      const key = Buffer.from(base64, 'base64')
      // Libraries of receivers are strict about the padding.
      return key.toString('base64') === base64 && key.length >= 24 && key.length <= 64
    })
    const allowed =
      'allowed: whsec_ and 24 to 64 random bytes in base64, such as "whsec_$(openssl rand -base64 32)"; several are separated by spaces'
    return isSound && secrets.length > 0 ? secrets : { wrong: `is not a signing secret; ${allowed}` }
  })
}

/** Hosts, addresses and networks, separated by commas or spaces. */
export function hosts(): Field<readonly string[]> {
  return field<readonly string[]>((text) => {
    const entries = words(text)
    const allowed =
      'allowed: host names (hooks.internal, *.internal.example), addresses and networks (10.1.0.0/16), without ports, separated by commas'
    return entries.every((one) => (readNetwork(one) ?? readHostPattern(one)) !== undefined)
      ? entries
      : { wrong: `has something in it that is neither host nor network; ${allowed}` }
  })
}

/** TCP ports, separated by commas or spaces. */
export function ports(): Field<readonly number[]> {
  return field<readonly number[]>((text) => {
    const given = words(text)
    const isSound = given.every(
      (port) => /^\d{1,5}$/.test(port) && Number(port) >= 1 && Number(port) <= 65535,
    )
    return isSound
      ? given.map(Number)
      : {
          wrong: 'has something in it that is no port; allowed: numbers from 1 to 65535, separated by commas',
        }
  })
}

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']

/** Methods of HTTP, separated by commas or spaces; POST is always among them. */
export function methods(): Field<readonly string[]> {
  return field<readonly string[]>((text) => {
    const given = words(text.toUpperCase())
    return given.every((method) => METHODS.includes(method))
      ? [...new Set(['POST', ...given])]
      : { wrong: `has a method that callbacks cannot use; allowed: ${METHODS.join(', ')}` }
  })
}

/** Names of headers in lower case, separated by commas or spaces; `x-*` means all that begin so. */
export function headerNames(): Field<readonly string[]> {
  return field<readonly string[]>((text) => {
    const names = words(text.toLowerCase())
    return names.every((name) => /^[a-z0-9-]+\*?$/.test(name))
      ? names
      : { wrong: 'has something in it that is no header name; allowed: names and beginnings such as X-*' }
  })
}
