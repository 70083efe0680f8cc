/** Ports that a test may leave and take again. */
import type { Server } from 'node:net'
import { freePort } from '../../src/embedded/ports.ts'

/**
 * A free port below those that systems hand out to clients. Where nobody listens for a while, another test's connection
 * could get the port for its own end, or who tries to connect to it could reach itself.
 */
export const lastingPort = () => freePort(15_000 + Math.floor(Math.random() * 15_000))

/** Listens on this port of 127.0.0.1, 0 for any. Rejects when it is taken. */
export async function listenOn(server: Pick<Server, 'listen' | 'once' | 'off'>, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => {
      server.off('error', reject)
      resolve()
    })
  })
}
