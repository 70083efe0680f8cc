/** The kinds of settings that only the dashboard has. */
import { type Network, readNetwork } from '../utils/networks.ts'
import { type Field, field, words } from './fields.ts'

/** What the server answers at already. */
const TAKEN = ['api', 'health', 'livez', 'readyz', 'metrics', 'metrics.json', 'wake']

/** A path on this server, without a slash at its end. */
export function webPath(): Field<string> {
  const allowed = 'allowed: a path of letters, digits and . _ ~ -, up to 100 characters, such as /dashboard'
  return field<string>((text) => {
    const path = text.replace(/\/+$/, '')
    const [, first = '', ...others] = path.split('/')
    const isPlain = path.length <= 100 && /^(\/[A-Za-z0-9._~-]+)+$/.test(path)
    if (!isPlain || [first, ...others].some((part) => /^\.{1,2}$/.test(part)))
      return { wrong: `is not such a path; ${allowed}` }
    return TAKEN.includes(first)
      ? { wrong: `begins where the worker answers something else; ${allowed}` }
      : path
  })
}

/** Browsers and proxies send these of themselves, whoever it is. */
const NOT_A_USER =
  /^(authorization|cookie|host|connection|origin|referer|user-agent|forwarded|upgrade|te|via|range|date|expect|pragma|content-.*|accept.*|if-.*|sec-.*|transfer-.*|cache-.*|x-real-ip|x-forwarded-(for|host|proto|port|prefix|server))$/i

/** A header in which a reverse proxy names the user. */
export function userHeader(): Field<string> {
  const allowed = 'allowed: the header in which your reverse proxy names the user, such as X-Forwarded-User'
  return field<string>((text) => {
    if (!/^[A-Za-z][A-Za-z0-9-]{0,63}$/.test(text))
      return { wrong: `is not the name of a header; ${allowed}` }
    return NOT_A_USER.test(text) ? { wrong: `is a header that names no user; ${allowed}` } : text
  })
}

/** Names of users, separated by commas or spaces. */
export function userNames(options: { everybody?: boolean } = {}): Field<readonly string[]> {
  const { everybody = false } = options
  const allowed = `allowed: names as the header has them (ann@example.com), up to 200 characters each, separated by commas${everybody ? ', or * for everybody whom the proxy lets in' : ''}`
  return field<readonly string[]>((text) => {
    const names = words(text)
    const isName = (name: string) =>
      name.length <= 200 && !/\p{Cc}/u.test(name) && (!name.includes('*') || (everybody && name === '*'))
    if (names.every(isName)) return names
    const star = !everybody && names.includes('*')
    return {
      wrong: `${star ? 'has * in it, and not everybody may act' : 'has a name in it that none can be'}; ${allowed}`,
    }
  })
}

/** Addresses and networks, separated by commas or spaces. */
export function networks(): Field<readonly Network[]> {
  const allowed =
    'allowed: addresses and networks such as 10.0.0.7,10.1.0.0/16,::1, separated by commas; not all (/0)'
  return field<readonly Network[]>((text) => {
    const entries = words(text)
    const found = entries.flatMap((entry) => readNetwork(entry) ?? []).filter(({ prefix }) => prefix > 0)
    return found.length === entries.length
      ? found
      : { wrong: `has something in it that is neither address nor network; ${allowed}` }
  })
}
