import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { SetupError } from '../../src/errors.ts'
import { createMailer, type MailerSettings } from '../../src/services/email.ts'
import { createAuthority } from '../support/certificates.ts'
import { troubleOf } from '../support/email-trouble.ts'
import { aMail } from '../support/mail.ts'
import { OBLIGING, startRawSmtp, startSmtp } from '../support/smtp.ts'

const cleanups: (() => Promise<unknown>)[] = []
let authority: Awaited<ReturnType<typeof createAuthority>>
beforeAll(async () => {
  authority = await createAuthority()
})
afterAll(() => authority.remove())
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

test('STARTTLS with a private authority and a login: the mail arrives encrypted and logged in', async () => {
  const server = await smtp(await authority.sign('localhost'))
  const { port } = server
  const made = mailer({
    port,
    requireTls: true,
    caFile: authority.caFile,
    user: 'mailer',
    pass: 'correct horse',
  })
  await made.verify()
  const result = await made.send(aMail())
  expect(result).toEqual({ accepted: ['ann@to.example'], refused: [] })
  expect(server.received).toMatchObject([{ secure: true, user: 'mailer', from: 'app@from.example' }])
})

test('TLS from the start works with SMTP_SECURE on any port, with the same check', async () => {
  const server = await smtp({ ...(await authority.sign('localhost')), secure: true })
  const made = mailer({ port: server.port, secure: true, caFile: authority.caFile })
  await made.send(aMail())
  expect(server.received).toMatchObject([{ secure: true }])
  const unknown = mailer({ port: server.port, secure: true })
  expect((await troubleOf(unknown)).kind).toBe('untrusted_ca')
})

test('a certificate of an unknown authority is refused with a hint at SMTP_CA_FILE, also when the environment says not to check', async () => {
  const server = await smtp(await authority.sign('localhost'))
  const before = process.env.NODE_TLS_REJECT_UNAUTHORIZED
  process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'
  try {
    const error = await troubleOf(mailer({ port: server.port, requireTls: true }))
    expect(error.kind).toBe('untrusted_ca')
    expect(error.message).toMatch(/SMTP_CA_FILE/)
  } finally {
    if (before === undefined) delete process.env.NODE_TLS_REJECT_UNAUTHORIZED
    else process.env.NODE_TLS_REJECT_UNAUTHORIZED = before
  }
  expect(server.received).toEqual([])
})

test('an expired certificate and one for another name are refused and named', async () => {
  const expired = await smtp(await authority.sign('localhost', { expired: true }))
  const other = await smtp(await authority.sign('mail.other.example'))
  const { caFile } = authority
  expect((await troubleOf(mailer({ port: expired.port, requireTls: true, caFile }))).kind).toBe(
    'certificate_expired',
  )
  const error = await troubleOf(mailer({ port: other.port, requireTls: true, caFile }))
  expect(error.kind).toBe('tls')
  expect(error.message).toMatch(/another name.*mail\.other\.example/s)
})

test('a server without STARTTLS is refused where it is required, before anything but EHLO was said', async () => {
  const server = await startRawSmtp((command, content, socket) =>
    command === 'STARTTLS' ? '502 not here' : OBLIGING(command, content, socket),
  )
  cleanups.push(server.stop)
  const made = mailer({ port: server.port, requireTls: true, user: 'mailer', pass: 'correct horse' })
  const error = await troubleOf(made)
  expect(error.message).toMatch(/does not offer STARTTLS, which is required/)
  expect(server.commands.filter((command) => !/^(EHLO|STARTTLS)/.test(command))).toEqual([])
})

test('towards this very machine STARTTLS is used only when asked for, and a login may go without', async () => {
  const server = await smtp({ ...(await authority.sign('localhost')), allowInsecureAuth: true })
  await mailer({ port: server.port, user: 'mailer', pass: 'correct horse' }).send(aMail())
  expect(server.received).toMatchObject([{ secure: false, user: 'mailer' }])
})

test('settings that cannot work are refused at once, with the remedy', async () => {
  const base = { host: 'mail.example', port: 587, from: 'a@b.example' }
  const refused = (settings: Partial<MailerSettings>) => {
    try {
      createMailer({ ...base, ...settings })
    } catch (thrown) {
      if (thrown instanceof SetupError) return `${thrown.message} ${thrown.remedy}`
    }
    return 'accepted'
  }
  expect(refused({})).toBe('accepted')
  expect(refused({ from: 'nobody' })).toMatch(/SMTP_FROM.*"nobody" is not an e-mail address/)
  expect(refused({ caFile: '/nowhere/ca.pem' })).toMatch(/SMTP_CA_FILE.*ENOENT/)
  expect(refused({ caFile: import.meta.filename })).toMatch(/no certificate|cannot be used/)
  expect(refused({ requireTls: false, user: 'mailer', pass: 'x' })).toMatch(
    /unencrypted.*SMTP_REQUIRE_TLS unset/s,
  )
})
