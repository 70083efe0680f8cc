/** Opens connections to an AMQP 0-9-1 broker: the one place that knows amqplib. */
import { connect, type Options, type SocketOptions } from 'amqplib'
import type { AmqpAddress } from '../config/amqp-url.ts'
import { coerceError } from '../errors.ts'
import { type BrokerTarget, brokerFailure } from './amqp-outage.ts'
import { createSession, type Session } from './amqp-session.ts'
import { trustedAuthorities } from './network.ts'

export type BrokerClient = {
  readonly target: BrokerTarget
  /** Throws BrokerError. */
  open(): Promise<Session>
}

/** After two of these without a sign of life the other side is given up. */
const HEARTBEAT_SECONDS = 20

/** `connectTimeoutMs` is from the name's lookup to the open connection. Throws SetupError for a CA file that is none. */
export function createBrokerClient(
  address: AmqpAddress,
  caFile: string | undefined,
  connectTimeoutMs: number,
): BrokerClient {
  const { secure, host, port, user, password, vhost, heartbeatSeconds = HEARTBEAT_SECONDS } = address
  const target = { name: `${host.includes(':') ? `[${host}]` : host}:${port}`, user, vhost }
  const broker: Options.Connect = {
    protocol: secure ? 'amqps' : 'amqp',
    hostname: host,
    port,
    username: user,
    password,
    // The client decodes it.
    vhost: encodeURIComponent(vhost),
    heartbeat: heartbeatSeconds,
  }
  const socketOptions: SocketOptions = {
    noDelay: true,
    clientProperties: { connection_name: 'queue-worker' },
    // Explicit, because NODE_TLS_REJECT_UNAUTHORIZED=0 would turn the check off otherwise.
    rejectUnauthorized: true,
    ca: trustedAuthorities(caFile, 'AMQP_CA_FILE'),
  }
  return {
    target,
    async open() {
      const socket = new AbortController()
      // Node closes the socket at the signal; the client has no other way to it.
      const options: SocketOptions & { signal: AbortSignal } = { ...socketOptions, signal: socket.signal }
      const limit = setTimeout(() => socket.abort(), connectTimeoutMs)
      try {
        return createSession(await connect(broker, options), () => socket.abort())
      } catch (thrown) {
        const late = Object.assign(new Error(`nothing within ${connectTimeoutMs} ms`), { code: 'ETIMEDOUT' })
        throw brokerFailure(socket.signal.aborted ? late : coerceError(thrown), target)
      } finally {
        clearTimeout(limit)
      }
    },
  }
}
