/** Stands between a client and a real PostgreSQL: speaks TLS, cuts connections, goes silent, swallows messages. */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { Certificate } from './certificates.ts'

export type ProxyOptions = {
  readonly targetPort: number
  /** Answers the request for TLS with this certificate; without one it offers no TLS. */
  readonly certificate?: Certificate
  /** Drops these messages of the server, by their type; 'A' is a notification. */
  readonly swallow?: string
  /** Refuses a login that sends this setting, as poolers do. */
  readonly refuseSetting?: string
}

export async function startProxy(options: ProxyOptions) {
  const sockets = new Set<Socket>()
  let mode: 'pass' | 'silent' | 'hang-up' = 'pass'
  let accepted = 0
  const server = createServer((client) => {
    accepted++
    keep(client)
    if (mode === 'hang-up') return void client.end()
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
    if (first.length > 0) upstream.write(first)
    client.on('data', (chunk) => mode === 'pass' && upstream.write(chunk))
    upstream.on('data', (chunk) => mode === 'pass' && client.write(drop ? drop(chunk) : chunk))
    client.on('close', () => upstream.destroy())
    upstream.on('close', () => client.destroy())
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    accepted: () => accepted,
    open: () => sockets.size,
    /** Cuts every connection off. */
    cut() {
      for (const socket of sockets) socket.destroy()
    },
    set(next: typeof mode) {
      mode = next
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
