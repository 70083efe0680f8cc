/** Ports that a test may leave and take again. */
import type { Server } from 'node:net'

export { lastingPort } from '../../src/embedded/ports.ts'

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
