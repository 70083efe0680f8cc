/** Finding ports on this machine's own address. */
import { createServer, type Server } from 'node:net'

export const loopback = '127.0.0.1'

/** Makes a server listen on the preferred port, or on any free one when that is taken. Returns the port. */
export async function listen(server: Server, preferred: number): Promise<number> {
  try {
    return await listenOn(server, preferred)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (preferred === 0 || (code !== 'EADDRINUSE' && code !== 'EACCES')) throw error
    return await listenOn(server, 0)
  }
}

/** A port that was free a moment ago, the preferred one if it was. Who then binds it must be ready to lose. */
export async function freePort(preferred: number): Promise<number> {
  const probe = createServer()
  const port = await listen(probe, preferred)
  await new Promise((resolve) => probe.close(resolve))
  return port
}

/**
 * A free port below those that systems hand out to clients. Where nobody listens for a while, somebody else's connection
 * could get the port for its own end, or who tries to connect to it could reach itself.
 */
export function lastingPort(): Promise<number> {
  return freePort(15_000 + Math.floor(Math.random() * 15_000))
}

function listenOn(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const settle = (action: () => void) => {
      server.off('error', failed)
      server.off('listening', listening)
      action()
    }
    const failed = (error: Error) => settle(() => reject(error))
    const listening = () =>
      settle(() => {
        const address = server.address()
        if (address && typeof address === 'object') resolve(address.port)
        else reject(new Error('a server that listens has no port'))
      })
    server.once('error', failed)
    server.once('listening', listening)
    server.listen(port, loopback)
  })
}
