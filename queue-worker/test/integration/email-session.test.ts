import { once } from 'node:events'
import { createServer } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { createMailer, type MailerSettings } from '../../src/services/email.ts'
import { MailServerError } from '../../src/services/email-outage.ts'
import { troubleOf } from '../support/email-trouble.ts'
import { aMail } from '../support/mail.ts'
import { OBLIGING, startRawSmtp, startSmtp } from '../support/smtp.ts'

const cleanups: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function smtp(options: Parameters<typeof startSmtp>[0]) {
  const server = await startSmtp(options)
  cleanups.push(server.stop)
  return server
}

function mailer(
  settings: Partial<MailerSettings> & { port: number },
  log?: Parameters<typeof createMailer>[1],
) {
  const made = createMailer({ host: 'localhost', from: 'App <app@from.example>', ...settings }, log)
  cleanups.push(made.close)
  return made
}

test('a wrong password is the server settings’ trouble, and no error or log shows it in any encoding', async () => {
  const logged: string[] = []
  const log = { info: () => {}, error: (...args: unknown[]) => void logged.push(JSON.stringify(args)) }
  const pass = 'geheim-4711!'
  const echo = Buffer.from(`\0mailer\0${pass}`).toString('base64')
  const server = await startRawSmtp((command, content, socket) => {
    if (command.startsWith('EHLO')) return '250-raw.example\r\n250 AUTH PLAIN'
    if (command.startsWith('AUTH')) return `535 5.7.8 rejected: ${command} (${pass})`
    return OBLIGING(command, content, socket)
  })
  cleanups.push(server.stop)
  const error = await troubleOf(mailer({ port: server.port, user: 'mailer', pass }, log as never))
  expect(server.commands).toContain(`AUTH PLAIN ${echo}`)
  expect(error.kind).toBe('login')
  expect(error.message).toMatch(/refused the login: .*535.*Check SMTP_USER and SMTP_PASS/s)
  const shown = [error.stack, String(error.cause), JSON.stringify(error.cause), ...logged].join('\n')
  expect(shown).toContain('[password hidden]')
  expect(shown).not.toContain(pass)
  expect(shown).not.toContain(echo.replace(/=+$/, ''))
  expect(logged).toHaveLength(1)
})

test('a login is not skipped when the server offers none', async () => {
  const server = await startRawSmtp((command, content, socket) =>
    command.startsWith('AUTH') ? '502 no such command' : OBLIGING(command, content, socket),
  )
  cleanups.push(server.stop)
  expect((await troubleOf(mailer({ port: server.port, user: 'mailer', pass: 'correct horse' }))).kind).toBe(
    'login',
  )
  expect(server.contents).toEqual([])
})

test.each([
  ['421 at the greeting', '421 too busy', 'unavailable'],
  ['554 at the greeting', '554 no service for you', 'rejected'],
])('%s concerns every mail, not this one', async (_what, greeting, kind) => {
  const server = await startRawSmtp((command, content, socket) =>
    command === 'GREETING' ? greeting : OBLIGING(command, content, socket),
  )
  cleanups.push(server.stop)
  expect((await troubleOf(mailer({ port: server.port }))).kind).toBe(kind)
})

test('a server that hangs up before its greeting is asked a few times, then the mail waits', async () => {
  let connections = 0
  const server = await startRawSmtp((_command, _content, socket) => {
    connections += 1
    socket.destroy()
    return null
  })
  cleanups.push(server.stop)
  expect((await troubleOf(mailer({ port: server.port }))).kind).toBe('disconnected')
  expect(connections).toBe(4)
})

test('a port nobody listens on and a silent server are told apart', async () => {
  const free = createServer().listen(0, '127.0.0.1')
  await once(free, 'listening')
  const address = free.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  free.close()
  await once(free, 'close')
  expect((await troubleOf(mailer({ port, host: '127.0.0.1' }))).kind).toBe('refused')
  const silent = await startRawSmtp(() => null)
  cleanups.push(silent.stop)
  expect((await troubleOf(mailer({ port: silent.port, connectTimeoutMs: 300 }))).kind).toBe('timeout')
})

test('the pool recovers when the server dies and comes back, and tells the log once each way', async () => {
  const told: string[] = []
  const log = { error: () => void told.push('down'), info: () => void told.push('up') }
  const first = await startSmtp()
  const made = mailer({ port: first.port }, log as never)
  await made.send(aMail({ subject: 'before' }))
  await first.stop()
  for (const _ of [1, 2, 3]) await expect(made.send(aMail())).rejects.toBeInstanceOf(MailServerError)
  const second = await smtp({ port: first.port })
  await made.send(aMail({ subject: 'after' }))
  expect(second.received.map(({ mail }) => mail.subject)).toEqual(['after'])
  expect(told).toEqual(['down', 'up'])
})

test('connections are reused, and never more of them open than the pool may hold', async () => {
  let open = 0
  let most = 0
  let opened = 0
  const server = await smtp({
    onConnect: (_session, done) => {
      open += 1
      opened += 1
      most = Math.max(most, open)
      done()
    },
    onClose: () => {
      open -= 1
    },
  })
  const made = mailer({ port: server.port, poolSize: 3 })
  await Promise.all(Array.from({ length: 40 }, (_, number) => made.send(aMail({ key: `k${number}` }))))
  expect(server.received).toHaveLength(40)
  expect(most).toBe(3)
  expect(opened).toBe(3)
})
