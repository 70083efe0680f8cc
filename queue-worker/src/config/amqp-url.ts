/** The address of an AMQP broker. Pure. */
import { isLoopback } from '../utils/loopback.ts'

export type AmqpAddress = {
  /** TLS from the first byte: amqps. */
  readonly secure: boolean
  /** Without the brackets of an IPv6 address. */
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly vhost: string
  /** Seconds without a sign of life, at which the other side is given up after two; undefined: ours. 0: never. */
  readonly heartbeatSeconds: number | undefined
}

const ALLOWED = 'allowed: amqps://user:password@host:5671/vhost, or amqp:// with port 5672'

/** Without user and vhost they are the broker's own: guest and /. */
export function parseAmqpUrl(text: string): AmqpAddress | { readonly wrong: string } {
  if (!/^amqps?:\/\/[^/?#]/i.test(text))
    return { wrong: `does not begin with amqp:// or amqps://; ${ALLOWED}` }
  const hint = 'characters like @ : / # % in user, password and vhost must be percent-encoded'
  try {
    const url = new URL(text)
    const heartbeat = url.searchParams.get('heartbeat') ?? undefined
    const others = [...url.searchParams.keys()].filter((name) => name !== 'heartbeat')
    if (others.length > 0) return { wrong: `has parameters other than ?heartbeat=<seconds>; ${ALLOWED}` }
    if (heartbeat !== undefined && !/^\d{1,4}$/.test(heartbeat))
      return { wrong: 'has a heartbeat that is not a number of seconds from 0 to 9999' }
    if (url.hash !== '' || url.hostname === '' || url.pathname.indexOf('/', 1) > 0)
      return { wrong: `cannot be read; ${hint} (the vhost a/b is a%2Fb). ${ALLOWED}` }
    const secure = url.protocol === 'amqps:'
    return {
      secure,
      host: decodeURIComponent(url.hostname).replace(/^\[(.*)\]$/, '$1'),
      port: url.port === '' ? (secure ? 5671 : 5672) : Number(url.port),
      user: decodeURIComponent(url.username) || 'guest',
      password: url.username === '' && url.password === '' ? 'guest' : decodeURIComponent(url.password),
      vhost: decodeURIComponent(url.pathname.slice(1)) || '/',
      heartbeatSeconds: heartbeat === undefined ? undefined : Number(heartbeat),
    }
  } catch {
    return { wrong: `cannot be read; ${hint}. ${ALLOWED}` }
  }
}

/** True when a password would go over a network as it is. */
export function amqpPasswordIsExposed({ secure, host }: AmqpAddress): boolean {
  return !secure && !isLoopback(host)
}

/** The password in it, as it is written and as it is meant, also when the rest cannot be read. None for guest's. */
export function amqpPasswordsIn(text: string): string[] {
  const address = parseAmqpUrl(text)
  const written = /:\/\/[^:/]*:(.*)@/.exec(text)?.[1] ?? ''
  const found = 'wrong' in address ? [written] : [written, address.password]
  return [...new Set(found)].filter((password) => password !== '' && password !== 'guest')
}
