import { afterEach, expect, test, vi } from 'vitest'
import { UncertainEffectError } from '../../src/errors.ts'
import { createMailer, type MailerSettings } from '../../src/services/email.ts'
import { MailServerError } from '../../src/services/email-outage.ts'
import { aMail } from '../support/mail.ts'
import { type Answer, OBLIGING, startRawSmtp } from '../support/smtp.ts'

const cleanups: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

function mailer(port: number, settings: Partial<MailerSettings> = {}) {
  const made = createMailer({ host: '127.0.0.1', port, from: 'App <app@from.example>', ...settings })
  cleanups.push(made.close)
  return made
}

async function raw(answer: Answer) {
  const server = await startRawSmtp((...args) => answer(...args) ?? null)
  cleanups.push(server.stop)
  return server
}

const failure = (sent: Promise<unknown>) =>
  sent.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
/** More than the buffers of a socket hold, so that the end cannot have been sent while nobody reads. */
const large = [{ filename: 'large.bin', content: Buffer.alloc(24_000_000, 1) }]

test('a connection closed before the final dot was sent: known not to be accepted', async () => {
  const server = await raw((command, content, socket) => {
    if (command === 'PART') socket.destroy()
    return OBLIGING(command, content, socket)
  })
  const error = await failure(mailer(server.port).send(aMail({ attachments: large })))
  expect(String(error)).toMatch(/broke before the mail was given away/)
  expect(error).not.toBeInstanceOf(UncertainEffectError)
  expect(error).not.toBeInstanceOf(MailServerError)
  expect(server.contents).toEqual([])
})

test('a connection closed after the final dot: nobody knows', async () => {
  const server = await raw((command, content, socket) => {
    if (command !== 'CONTENT') return OBLIGING(command, content, socket)
    socket.destroy()
    return null
  })
  expect(await failure(mailer(server.port).send(aMail()))).toBeInstanceOf(UncertainEffectError)
  expect(server.contents).toHaveLength(1)
})

test('no reply after the final dot within the limit: nobody knows', async () => {
  const server = await raw((command, content, socket) =>
    command === 'CONTENT' ? null : OBLIGING(command, content, socket),
  )
  const error = await failure(mailer(server.port, { replyTimeoutMs: 300 }).send(aMail()))
  expect(error).toBeInstanceOf(UncertainEffectError)
  expect(String(error)).toMatch(/Whether it was accepted is not known/)
})

test('a reused connection that the server dropped in between costs nothing: the mail goes over a new one', async () => {
  let mails = 0
  const server = await raw((command, content, socket) => {
    if (command === 'CONTENT') mails += 1
    // The second mail on the first connection meets a closed door.
    if (command.startsWith('MAIL') && mails === 1) {
      mails += 1
      socket.destroy()
      return null
    }
    return OBLIGING(command, content, socket)
  })
  const made = mailer(server.port)
  await made.send(aMail({ key: 'one' }))
  await made.send(aMail({ key: 'two' }))
  expect(server.contents).toHaveLength(2)
  expect(server.contents[1]).toContain('<two@from.example>')
})

test('an abort before the mail was given away stops it', async () => {
  const abort = new AbortController()
  const server = await raw((command, content, socket) => {
    if (!command.startsWith('RCPT')) return OBLIGING(command, content, socket)
    abort.abort(new Error('time is up'))
    return null
  })
  const error = await failure(mailer(server.port).send(aMail(), { signal: abort.signal }))
  expect(String(error)).toMatch(/aborted before the mail was given away/)
  await vi.waitFor(() => expect(server.open()).toBe(0), { timeout: 10_000 })
  expect(server.contents).toEqual([])
})

test('an abort while the reply to the whole mail is awaited lets the reply still come', async () => {
  const abort = new AbortController()
  const server = await raw((command, content, socket) => {
    if (command !== 'CONTENT') return OBLIGING(command, content, socket)
    abort.abort(new Error('time is up'))
    setTimeout(() => socket.write('250 taken\r\n'), 100)
    return null
  })
  const made = mailer(server.port, { abortGraceMs: 60_000 })
  await expect(made.send(aMail(), { signal: abort.signal })).resolves.toMatchObject({
    accepted: ['ann@to.example'],
  })
})

test('and when it does not come in the time of grace, nobody knows', async () => {
  const abort = new AbortController()
  const server = await raw((command, content, socket) => {
    if (command !== 'CONTENT') return OBLIGING(command, content, socket)
    abort.abort(new Error('time is up'))
    return null
  })
  const made = mailer(server.port, { abortGraceMs: 200 })
  expect(await failure(made.send(aMail(), { signal: abort.signal }))).toBeInstanceOf(UncertainEffectError)
})
