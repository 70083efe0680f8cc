/**
 * The way into a database that lives in this process and has one session: a port on this machine, where each connection
 * gets its turn. A transaction is one turn, so what others do waits until it has ended.
 */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import * as wire from './wire.ts'

export type Session = {
  readonly serverVersion: string
  /** Called at the beginning of each turn. */
  prepare(): Promise<void>
  exec(messages: Uint8Array): Promise<Uint8Array>
}

export type Door = { readonly port: number; close(): Promise<void> }

export async function openDoor(session: Session): Promise<Door> {
  const takeTurn = createTurns()
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.setNoDelay(true)
    socket.once('close', () => sockets.delete(socket))
    serve(socket, session, takeTurn)
  })
  server.listen(0, '127.0.0.1').unref()
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
      // Whoever has a turn ends it, now that its connection is gone.
      await takeTurn()
    },
  }
}

type TakeTurn = () => Promise<() => void>

/** First come, first served. */
function createTurns(): TakeTurn {
  let last: Promise<void> = Promise.resolve()
  return async () => {
    const before = last
    const { promise, resolve } = Promise.withResolvers<void>()
    last = promise
    await before
    return resolve
  }
}

function serve(socket: Socket, session: Session, takeTurn: TakeTurn): void {
  let unread = Buffer.alloc(0)
  let isOpen = false
  let isBusy = false
  let endTurn: (() => void) | null = null

  socket.on('error', () => {}) // its close says enough
  socket.on('close', () => void work())
  socket.on('data', (chunk: Buffer) => {
    unread = Buffer.concat([unread, chunk])
    void work()
  })

  async function work(): Promise<void> {
    if (isBusy) return
    isBusy = true
    try {
      while (!socket.destroyed && (isOpen ? await answer() : open()));
      if (socket.destroyed) await abandon()
    } catch {
      socket.destroy() // the database has been closed
    } finally {
      isBusy = false
    }
  }

  function open(): boolean {
    const first = wire.takeOpening(unread)
    if (first === null) return false
    unread = Buffer.from(first.rest)
    if (first.opening === 'cancel') socket.end()
    else socket.write(first.opening === 'encrypt' ? wire.NO_ENCRYPTION : wire.greeting(session.serverVersion))
    isOpen = first.opening === 'begin'
    return true
  }

  async function answer(): Promise<boolean> {
    const { whole, rest, isGoodbye } = wire.takeMessages(unread)
    unread = Buffer.from(rest)
    if (whole.length > 0) {
      if (endTurn === null) {
        endTurn = await takeTurn()
        await session.prepare()
      }
      const said = Buffer.from(await session.exec(whole))
      socket.write(said)
      if (wire.isTurnOver(said)) passOn()
    }
    if (isGoodbye) socket.end()
    return whole.length > 0
  }

  async function abandon(): Promise<void> {
    if (endTurn !== null) await session.exec(wire.ABANDON)
    passOn()
  }

  function passOn(): void {
    endTurn?.()
    endTurn = null
  }
}
