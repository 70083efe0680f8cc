/** Ports that a test may leave and take again. */
import { createServer, type Server } from 'node:net'
import { lastingPort } from '../../src/embedded/ports.ts'

export { lastingPort } from '../../src/embedded/ports.ts'

/** The first of so many free ports in a row. */
export async function lastingPorts(count: number): Promise<number> {
  const isFree = async (port: number) => {
    const probe = createServer()
    const free = await listenOn(probe, port).then(
      () => true,
      () => false,
    )
    await new Promise((resolve) => probe.close(resolve))
    return free
  }
  for (;;) {
    const first = await lastingPort()
    const others = Array.from({ length: count - 1 }, (_, i) => first + 1 + i)
    if ((await Promise.all(others.map(isFree))).every((free) => free)) return first
  }
}

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
