/** Where a connection leads, for looking at each part of the way. */
import { connect, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { ConnectionFailure } from '../errors.ts'
import type { ConnectionSettings } from '../queue/contract.ts'
import { classifyFailure } from '../services/failures.ts'
import { trustedAuthorities } from '../services/network.ts'
import { type Address, readAddress } from '../services/postgres/address.ts'
import { openSocket } from '../services/postgres/socket.ts'

export type Endpoint = {
  readonly host: string
  readonly port: number
  /** A path in place of host and port. */
  readonly socketPath: string | undefined
  readonly usesTls: boolean
  /** For people: host and port, or the socket. */
  readonly name: string
  /** A plain connection, open. */
  connect(limitMs: number): Promise<Socket>
  /** With the handshake that a worker makes, certificates verified. */
  connectTls(limitMs: number): Promise<Socket>
  classify(error: unknown): ConnectionFailure
}

/** @throws SetupError for an address or a CA file that cannot be read. */
export function endpointOf(settings: ConnectionSettings): Endpoint {
  const database = settings.kind === 'postgres' ? readAddress(settings.url) : undefined
  const url = new URL(settings.url)
  const isHttps = url.protocol === 'https:'
  const host = database?.host ?? url.hostname.replace(/^\[(.*)\]$/, '$1')
  const port = database?.port ?? (Number(url.port) || (isHttps ? 443 : 80))
  const { socketPath } = database ?? {}
  const name = socketPath ?? `${host.includes(':') ? `[${host}]` : host}:${port}`
  const context = { transport: settings.kind, target: name, host }
  const caFile = settings.caFile ?? database?.rootCertFile
  const authorities = caFile === undefined ? undefined : trustedAuthorities(caFile)

  return {
    host,
    port,
    socketPath,
    usesTls: database === undefined ? isHttps : database.tls !== 'off',
    name,
    connect: (limitMs) => plain(socketPath, host, port, limitMs),
    connectTls: (limitMs) =>
      database === undefined
        ? overHttps(host, port, authorities, limitMs)
        : overPostgres(database, authorities, limitMs),
    classify: (error) => classifyFailure(error, context),
  }
}

function plain(path: string | undefined, host: string, port: number, limitMs: number): Promise<Socket> {
  const socket = path === undefined ? connect({ host, port, autoSelectFamily: true }) : connect({ path })
  return opened(socket, 'connect', limitMs)
}

function overPostgres(
  address: Address,
  authorities: readonly string[] | undefined,
  connectTimeoutMs: number,
) {
  return openSocket({ address, authorities, connectTimeoutMs })
}

function overHttps(host: string, port: number, authorities: readonly string[] | undefined, limitMs: number) {
  const socket = connectTls({
    // For the check of the name; SNI has no addresses.
    host,
    port,
    ...(isIP(host) ? {} : { servername: host }),
    rejectUnauthorized: true,
    ...(authorities === undefined ? {} : { ca: [...authorities] }),
  })
  return opened(socket, 'secureConnect', limitMs)
}

function opened<S extends Socket>(
  socket: S,
  event: 'connect' | 'secureConnect',
  limitMs: number,
): Promise<S> {
  const { promise, resolve, reject } = Promise.withResolvers<S>()
  const late = () => socket.destroy(Object.assign(new Error('no connection'), { code: 'CONNECT_TIMEOUT' }))
  const timer = setTimeout(late, limitMs)
  socket.once(event, () => resolve(socket))
  socket.on('error', reject)
  socket.once('close', () => reject(Object.assign(new Error('closed'), { code: 'CONNECTION_CLOSED' })))
  return promise.finally(() => clearTimeout(timer))
}
