/** SMTP servers for tests: a whole one that keeps what it gets, and a raw one that misbehaves on demand. */
import { createServer, type Socket } from 'node:net'
import { type ParsedMail, simpleParser } from 'mailparser'
import { SMTPServer, type SMTPServerOptions } from 'smtp-server'
import { listenOn } from './ports.ts'

export type Received = {
  readonly from: string
  readonly to: readonly string[]
  readonly secure: boolean
  readonly user: string | undefined
  readonly source: Buffer
  readonly mail: ParsedMail
}

/** A real SMTP server on a free port of 127.0.0.1 (or on `port`). */
export async function startSmtp(options: SMTPServerOptions & { port?: number } = {}) {
  const received: Received[] = []
  const sessions = new Set<string>()
  let logins = 0
  const { port = 0, ...rest } = options
  const server = new SMTPServer({
    authOptional: true,
    disableReverseLookup: true,
    closeTimeout: 100,
    logger: false,
    onConnect(session, done) {
      sessions.add(session.id)
      done()
    },
    onAuth(auth, _session, done) {
      logins += 1
      if (auth.username === 'mailer' && auth.password === 'correct horse') done(null, { user: 'mailer' })
      else done(new Error('Wrong user or password'))
    },
    onData(stream, session, done) {
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('end', async () => {
        const source = Buffer.concat(chunks)
        const { mailFrom, rcptTo } = session.envelope
        received.push({
          from: mailFrom === false ? '' : mailFrom.address,
          to: rcptTo.map(({ address }) => address),
          secure: session.secure,
          user: session.user,
          source,
          mail: await simpleParser(source),
        })
        done()
      })
    },
    ...rest,
  })
  server.on('error', () => {})
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  const address = server.server.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : port,
    received,
    connections: () => sessions.size,
    logins: () => logins,
    stop: () => new Promise<void>((resolve) => server.close(resolve)),
  }
}

/** Says what to answer to a command (or to `CONTENT` with the mail); null: nothing. May end the socket itself. */
export type Answer = (command: string, content: string, socket: Socket) => string | null

export const OBLIGING: Answer = (command) => {
  if (command.startsWith('EHLO')) return '250-raw.example\r\n250 8BITMIME'
  if (command === 'DATA') return '354 go on'
  return command === 'GREETING' ? '220 raw.example ESMTP' : '250 OK'
}

/** A raw server (on `port`): answers as told, keeps the commands it was given and the contents it took whole. */
export async function startRawSmtp(answer: Answer, port = 0) {
  const commands: string[] = []
  const contents: string[] = []
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => {})
    let pending = ''
    let inContent = false
    const reply = (command: string, content = '') => {
      const text = answer(command, content, socket)
      if (text !== null && !socket.destroyed) socket.write(`${text}\r\n`)
      return text
    }
    reply('GREETING')
    // Of a large content, what was looked through already: it must not be again with each chunk.
    let before: string[] = []
    socket.on('data', (chunk) => {
      pending += chunk.toString('latin1')
      for (;;) {
        const end = pending.indexOf(inContent ? '\r\n.\r\n' : '\r\n')
        if (end < 0) {
          if (!inContent) return
          answer('PART', pending, socket)
          before.push(pending.slice(0, -4))
          pending = pending.slice(-4)
          return
        }
        const part = before.join('') + pending.slice(0, end)
        pending = pending.slice(end + (inContent ? 5 : 2))
        before = []
        if (inContent) {
          inContent = false
          contents.push(part)
          reply('CONTENT', part)
        } else {
          commands.push(part)
          inContent = reply(part)?.startsWith('354') ?? false
        }
      }
    })
  })
  await listenOn(server, port)
  const address = server.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    commands,
    contents,
    open: () => sockets.size,
    stop: () =>
      new Promise<void>((resolve) => {
        for (const socket of sockets) socket.destroy()
        server.close(() => resolve())
      }),
  }
}
