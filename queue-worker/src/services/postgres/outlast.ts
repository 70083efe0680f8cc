/**
 * A connection that is cut within a transaction. postgres.js would write the next statement, or its own rollback, to a
 * socket it has already let go, which ends the process; or it would take the connection up again for another
 * transaction and write it there. So the end of such a connection is kept from it: what it writes from then on
 * fails like what was under way, and the socket is closed only when the transaction's code can have nothing left to say.
 */
import type { Duplex } from 'node:stream'

/** By then the pool was replaced, and what still runs on it was ended: see renewable.ts, whose grace is shorter. */
const CLOSE_MS = 6000
/** The server's word that it is ready for the next statement; the byte after it tells of the transaction. */
const READY = Buffer.from([0x5a, 0, 0, 0, 5])
const IDLE = 0x49

/** Changes this socket's `emit` and `write`, and returns it. */
export function outlast(socket: Duplex): Duplex {
  const emit = socket.emit.bind(socket)
  let write: unknown = socket.write
  let rest = Buffer.alloc(0)
  let isInTransaction = false
  let isOver = false
  let closing: NodeJS.Timeout | undefined

  // The last such word counts: a server that ends the session says so after it.
  socket.on('data', (chunk: Buffer) => {
    const heard = Buffer.concat([rest, chunk])
    const at = heard.subarray(0, -1).lastIndexOf(READY)
    if (at >= 0) isInTransaction = heard[at + READY.length] !== IDLE
    rest = heard.subarray(-READY.length)
  })

  function fail(): void {
    const text = 'the connection was cut within a transaction'
    emit('error', Object.assign(new Error(text), { code: 'CONNECTION_CLOSED' }))
    clearTimeout(closing)
    closing = setTimeout(() => emit('close', true), CLOSE_MS).unref()
  }

  socket.emit = (event: string | symbol, ...values: unknown[]): boolean => {
    if (event !== 'close' || !isInTransaction) return emit(event, ...values)
    isOver = true
    fail()
    return true
  }
  const writing = (...values: unknown[]): boolean => {
    if (!isOver) return typeof write === 'function' && write.apply(socket, values)
    setImmediate(fail)
    return true
  }
  // Node replaces it when the other side has hung up: by one that says nothing when the socket is gone.
  Object.defineProperty(socket, 'write', {
    get: () => writing,
    set(next: unknown) {
      write = next
    },
  })
  return socket
}
