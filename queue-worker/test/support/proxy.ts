/** A TCP fault proxy, for HTTP and for PostgreSQL (it speaks its TLS): what networks do on their worst day. */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { TLSSocket } from 'node:tls'
import type { Certificate } from './certificates.ts'
import { listenOn } from './ports.ts'

export type ProxyOptions = {
  readonly targetPort: number
  /** Where it listens; any free port by default. */
  readonly port?: number
  /** Answers the request for TLS with this certificate; without one it offers no TLS. */
  readonly certificate?: Certificate
  /** Drops these messages of the server, by their type; 'A' is a notification. */
  readonly swallow?: string
  /** Refuses a login that sends this setting, as poolers do. */
  readonly refuseSetting?: string
  /** What `slow` adds to each chunk; 100 by default. */
  readonly slowMs?: number
}

/**
 * `silent`: what is sent is lost, nothing is closed; a connection that lost something stays so. `held`: nothing is
 * closed, and bytes arrive when it passes again. `slow`: each chunk takes slowMs longer, in each direction.
 * `half-answer`: of the next answer half arrives, then that connection is gone and the others pass.
 * `hang-up`: new connections are closed at once.
 */
export type ProxyMode = 'pass' | 'silent' | 'held' | 'slow' | 'half-answer' | 'hang-up'

export async function startProxy(options: ProxyOptions) {
  const sockets = new Set<Socket>()
  let mode: ProxyMode = 'pass'
  let release = Promise.withResolvers<void>()
  let accepted = 0
  const server = createServer((client) => {
    accepted++
    keep(client)
    // Read, so that it is closed and no longer counted as open.
    if (mode === 'hang-up') return void client.resume().end()
    if (mode === 'silent') return
    client.once('data', (first) => {
      const wantsTls = first.length === 8 && first.readInt32BE(4) === 80877103
      if (options.refuseSetting && first.includes(options.refuseSetting))
        return void client.end(fatalError('08P01', `unsupported startup parameter: ${options.refuseSetting}`))
      if (!wantsTls) return join(client, first)
      client.write(options.certificate ? 'S' : 'N')
      if (!options.certificate) return
      join(keep(new TLSSocket(client, { isServer: true, ...options.certificate })), Buffer.alloc(0))
    })
  })

  function keep(socket: Socket): Socket {
    sockets.add(socket)
    socket.on('error', () => {}).on('close', () => sockets.delete(socket))
    return socket
  }

  function join(client: Socket, first: Buffer): void {
    const upstream = keep(connect(options.targetPort, '127.0.0.1'))
    const drop = options.swallow === undefined ? undefined : messageFilter(options.swallow)
    const toServer = inOrder(upstream, false)
    if (first.length > 0) toServer(first)
    client.on('data', toServer)
    upstream.on('data', inOrder(client, true, drop))
    client.on('close', () => upstream.destroy())
    upstream.on('close', () => client.destroy())
  }

  /** Passes chunks on one after the other, each as the mode of its moment says. */
  function inOrder(
    to: Socket,
    isAnswer: boolean,
    filter = (chunk: Buffer) => chunk,
  ): (chunk: Buffer) => void {
    let lossy = false
    let last = Promise.resolve()
    async function pass(chunk: Buffer): Promise<void> {
      if (mode === 'slow') await sleep(options.slowMs ?? 100)
      while (mode === 'held') await release.promise
      lossy ||= mode === 'silent'
      if (lossy || to.destroyed) return
      if (mode !== 'half-answer' || !isAnswer) return void to.write(filter(chunk))
      mode = 'pass'
      to.write(chunk.subarray(0, chunk.length / 2), () => to.destroy())
    }
    return (chunk) => {
      last = last.then(() => pass(chunk))
    }
  }

  await listenOn(server, options.port ?? 0)
  return {
    port: (server.address() as AddressInfo).port,
    accepted: () => accepted,
    open: () => sockets.size,
    /** Cuts every connection off. */
    cut() {
      for (const socket of sockets) socket.destroy()
    },
    set(next: ProxyMode) {
      mode = next
      release.resolve()
      release = Promise.withResolvers<void>()
    },
    async stop() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

function fatalError(code: string, message: string): Buffer {
  const fields = Buffer.from(`SFATAL\0C${code}\0M${message}\0\0`)
  const head = Buffer.alloc(5)
  head.write('E')
  head.writeUInt32BE(fields.length + 4, 1)
  return Buffer.concat([head, fields])
}

/** Removes whole messages of one type from the stream of the server. */
function messageFilter(type: string): (chunk: Buffer) => Buffer {
  let rest = Buffer.alloc(0)
  return (chunk) => {
    rest = Buffer.concat([rest, chunk])
    const kept: Buffer[] = []
    while (rest.length >= 5 && rest.length > rest.readUInt32BE(1)) {
      const end = rest.readUInt32BE(1) + 1
      if (String.fromCharCode(rest[0] ?? 0) !== type) kept.push(rest.subarray(0, end))
      rest = rest.subarray(end)
    }
    return Buffer.concat(kept)
  }
}
