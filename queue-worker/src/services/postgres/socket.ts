/**
 * Opens the connections that postgres.js then speaks over. Done here because postgres.js does not verify
 * certificates for sslmode=require, cannot say that a server offers no TLS, checks the wrong name when the host
 * is an address, and reconnects for ever without a pause when a server hangs up before its first word.
 */
import { connect, isIP, type Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { connect as connectTls } from 'node:tls'
import { coerceError } from '../../errors.ts'
import type { Address } from './address.ts'
import { outlast } from './outlast.ts'

export type SocketOptions = {
  readonly address: Address
  /** Authorities to trust besides Node's. */
  readonly authorities: readonly string[] | undefined
  /** For name, connection and TLS together. */
  readonly connectTimeoutMs: number
}

/** How long a request to cancel may take to be taken. */
const CANCEL_MS = 5000

export type Sockets = {
  /** For postgres.js's option `socket`. It must not throw, or postgres.js would lose the pool's slot. */
  open(): Promise<Duplex>
  /** Closes what is open or still opens, said goodbye or not; no other is opened. */
  close(): void
}

/** The connections of one pool. postgres.js forgets those that open while their pool ends: they are closed here. */
export function createSockets(options: SocketOptions): Sockets {
  const sockets = new Set<Socket>()
  let hungUp = false
  let isClosed = false
  return {
    async open() {
      if (isClosed) return failing(coded('CONNECTION_ENDED', 'the pool has ended'))
      if (hungUp) {
        hungUp = false
        return failing(coded('CONNECTION_CLOSED', 'the server hung up before it said anything'))
      }
      try {
        const socket = await openSocket(options)
        if (isClosed) socket.destroy()
        sockets.add(socket)
        let spoke = false
        socket.once('data', () => {
          spoke = true
        })
        socket.once('close', () => {
          sockets.delete(socket)
          if (!spoke) hungUp = true
        })
        return outlast(socket)
      } catch (error) {
        return failing(coerceError(error))
      }
    },
    close() {
      isClosed = true
      for (const socket of sockets) socket.destroy()
    },
  }
}

/**
 * Asks the server, over a connection of its own, to stop what a backend does. Tries once and never rejects: whether it
 * had an effect nobody tells.
 */
export async function requestCancel(
  options: SocketOptions,
  { pid, secret }: { pid: number; secret: number },
): Promise<void> {
  const request = Buffer.alloc(16)
  for (const [index, value] of [16, 80877102, pid, secret].entries()) request.writeUInt32BE(value, index * 4)
  try {
    const socket = await openSocket(options)
    socket.unref().setTimeout(CANCEL_MS, () => socket.destroy())
    socket.resume().end(request)
  } catch {} // the server cannot be reached: then its own time limit stops it
}

/** One connection, encrypted as the address asks for, open. */
export async function openSocket({ address, authorities, connectTimeoutMs }: SocketOptions): Promise<Socket> {
  const { host, port, socketPath } = address
  const raw = socketPath
    ? connect({ path: socketPath })
    : connect({ host, port, autoSelectFamily: true, autoSelectFamilyAttemptTimeout: 1000 })
  const opened: Socket[] = [raw]
  const limit = setTimeout(() => {
    const error = coded('CONNECT_TIMEOUT', `no connection within ${connectTimeoutMs} ms`)
    for (const socket of opened) socket.destroy(error)
  }, connectTimeoutMs)
  try {
    await once(raw, 'connect')
    raw.setNoDelay(true)
    if (address.tls === 'off') return raw
    await askForTls(raw)
    const secure = connectTls({
      socket: raw,
      // For the check of the name; SNI has no addresses.
      host,
      ...(isIP(host) ? {} : { servername: host }),
      ...(authorities ? { ca: [...authorities] } : {}),
      // Explicit, because NODE_TLS_REJECT_UNAUTHORIZED=0 would turn the check off otherwise.
      rejectUnauthorized: true,
      ...(address.tls === 'verify-ca' ? { checkServerIdentity: () => undefined } : {}),
    })
    opened.push(secure)
    await once(secure, 'secureConnect')
    return secure
  } catch (error) {
    for (const socket of opened) socket.destroy()
    throw error
  } finally {
    clearTimeout(limit)
  }
}

/** PostgreSQL's SSLRequest: the server answers with one byte whether TLS may begin. */
async function askForTls(socket: Socket): Promise<void> {
  const request = Buffer.alloc(8)
  request.writeInt32BE(8, 0)
  request.writeInt32BE(80877103, 4)
  socket.write(request)
  const [answer] = await once(socket, 'data')
  socket.pause()
  if (!Buffer.isBuffer(answer) || answer[0] === 0x4e)
    throw coded('TLS_NOT_OFFERED', 'the server offers no TLS')
  // More than the one byte before TLS begins was put there by somebody in between.
  if (answer.length !== 1 || answer[0] !== 0x53)
    throw coded('EPROTO', 'the server did not answer the request for TLS as PostgreSQL does')
}

/** The event's arguments; rejects when the socket fails or closes first. */
function once(socket: Socket, event: string): Promise<unknown[]> {
  return new Promise((resolve, reject) => {
    const done = (act: () => void) => {
      socket.off(event, arrived).off('error', failed).off('close', closed)
      // A later error without a listener would end the process.
      socket.on('error', () => {})
      act()
    }
    const arrived = (...values: unknown[]) => done(() => resolve(values))
    const failed = (error: Error) => done(() => reject(error))
    const closed = () => failed(coded('CONNECTION_CLOSED', 'the server hung up'))
    socket.on(event, arrived).on('error', failed).on('close', closed)
  })
}

/**
 * A stream that swallows what is written and then fails: the way to hand an error to postgres.js. It waits for
 * postgres.js's first write, which happens in its next setImmediate and would be stuck for ever otherwise.
 */
function failing(error: Error): Duplex {
  const stream = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
  setImmediate(() => setImmediate(() => stream.destroy(error)))
  return stream
}

function coded(code: string, message: string): Error {
  return Object.assign(new Error(message), { code })
}
