/**
 * A real SMTP server that delivers to a folder: every mail it accepts is a file there. It wants a login, as the
 * servers do that people will use later. Two kinds of addresses show what a worker does about trouble:
 * `refused…@` is refused for good (550 5.1.1), and a message to `busy-once…@` is put off the first time (451 4.3.0).
 */
import { randomBytes } from 'node:crypto'
import { mkdir, open, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import type { SMTPServerDataStream, SMTPServerSession } from 'smtp-server'
import { missingPackage } from './packages.ts'
import { listen } from './ports.ts'

export type MailServerOptions = {
  readonly preferredPort: number
  readonly user: string
  readonly password: string
  readonly mailDirectory: string
}

export type MailServer = { readonly port: number; close(): Promise<void> }

const largestMailBytes = 30 * 1024 * 1024
/** How many put-off messages are remembered. */
const rememberedMails = 10_000

export async function startMailServer(options: MailServerOptions): Promise<MailServer> {
  const { SMTPServer } = await import('smtp-server').catch((error: unknown) => {
    throw missingPackage('smtp-server', error)
  })
  await mkdir(options.mailDirectory, { recursive: true, mode: 0o700 })
  const putOff = new Set<string>()
  const smtp = new SMTPServer({
    banner: 'queue-worker embedded stack',
    // Clients would upgrade to TLS where it is offered, and then rightly refuse a certificate nobody signed.
    disabledCommands: ['STARTTLS'],
    allowInsecureAuth: true,
    authMethods: ['PLAIN', 'LOGIN'],
    disableReverseLookup: true,
    size: largestMailBytes,
    // A worker's idle pooled connections shall not hold up a stop.
    closeTimeout: 1_000,
    logger: false,
    onAuth({ username, password }, _session, done) {
      const known = username === options.user && password === options.password
      if (known) done(null, { user: options.user })
      else done(reply(535, '5.7.8 Authentication credentials invalid'))
    },
    onRcptTo({ address }, _session, done) {
      done(localPart(address).startsWith('refused') ? reply(550, '5.1.1 No such mailbox here') : null)
    },
    onData(stream, session, done) {
      receive(stream, session, options.mailDirectory, putOff).then(
        (name) => done(null, `kept as ${name}`),
        (error: Error) => done('responseCode' in error ? error : reply(451, '4.3.0 The mail cannot be kept')),
      )
    },
  })
  // A client that breaks off is its own business.
  smtp.on('error', () => {})
  const port = await listen(smtp.server, options.preferredPort)
  return { port, close: () => new Promise((resolve) => smtp.close(() => resolve())) }
}

async function receive(
  stream: SMTPServerDataStream,
  session: SMTPServerSession,
  directory: string,
  putOff: Set<string>,
): Promise<string> {
  const mail = await buffer(stream)
  if (stream.sizeExceeded) throw reply(552, '5.3.4 Message too big')
  const recipients = session.envelope.rcptTo.map(({ address }) => address)
  const busy = recipients.filter((address) => localPart(address).startsWith('busy-once'))
  const fresh = busy.map((address) => `${address} ${messageId(mail)}`).filter((key) => !putOff.has(key))
  if (fresh.length > 0) {
    if (putOff.size > rememberedMails) putOff.clear()
    for (const key of fresh) putOff.add(key)
    throw reply(451, '4.3.0 Mailbox busy, try again')
  }
  const { mailFrom } = session.envelope
  const sender = mailFrom ? mailFrom.address : ''
  // The envelope knows what the mail does not say: who was in Bcc.
  const envelope = `Return-Path: <${sender}>\r\nX-Envelope-To: ${recipients.join(', ')}\r\n`
  return await keep(directory, Buffer.concat([Buffer.from(envelope), mail]))
}

/** Accepted means kept: the file is on the disk, whole, before the client hears of it. */
async function keep(directory: string, content: Buffer): Promise<string> {
  const time = new Date().toISOString().replaceAll(/[:.]/g, '-')
  const name = `${time}-${randomBytes(4).toString('hex')}.eml`
  const temporary = join(directory, `.${name}`)
  const file = await open(temporary, 'wx', 0o600)
  try {
    await file.writeFile(content)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(temporary, join(directory, name))
  return name
}

function messageId(mail: Buffer): string {
  const head = mail.toString('latin1').split(/\r?\n\r?\n/, 1)[0] ?? ''
  return /^message-id:\s*(\S+)/im.exec(head)?.[1] ?? ''
}

function localPart(address: string): string {
  return address.toLowerCase().split('@', 1)[0] ?? ''
}

function reply(responseCode: number, message: string): Error {
  return Object.assign(new Error(message), { responseCode })
}
