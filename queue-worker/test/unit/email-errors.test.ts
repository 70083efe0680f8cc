import { describe, expect, test } from 'vitest'
import { SetupError, UncertainEffectError, UnrecoverableError } from '../../src/errors.ts'
import { isPermanent, type MailStage, mailFailure } from '../../src/services/email-errors.ts'
import { MailServerError, type SmtpError } from '../../src/services/email-outage.ts'
import { decideSecurity } from '../../src/services/email-security.ts'
import { cleanReply } from '../../src/utils/clean-reply.ts'
import { isLoopback } from '../../src/utils/loopback.ts'

const judge = (error: Partial<SmtpError>, stage: MailStage = 'connecting') =>
  mailFailure({ message: 'what the client said', ...error }, stage, 'mail.example:587')

test.each([
  ['ESOCKET', 'ENOTFOUND', 'dns'],
  ['EDNS', undefined, 'dns'],
  ['ESOCKET', 'ECONNREFUSED', 'refused'],
  ['ESOCKET', 'EHOSTUNREACH', 'timeout'],
  ['ETIMEDOUT', undefined, 'timeout'],
  ['ESOCKET', 'CERT_HAS_EXPIRED', 'certificate_expired'],
  ['ESOCKET', 'SELF_SIGNED_CERT_IN_CHAIN', 'untrusted_ca'],
  ['ESOCKET', 'ERR_TLS_CERT_ALTNAME_INVALID', 'tls'],
  ['ESOCKET', 'ERR_SSL_WRONG_VERSION_NUMBER', 'tls'],
  ['ECONNECTION', undefined, 'disconnected'],
])('%s / %s before a session is the server’s trouble: %s', (code, originalCode, kind) => {
  const error = judge({ code, originalCode })
  expect(error).toBeInstanceOf(MailServerError)
  expect(error).toMatchObject({ kind })
  expect(error.message).toContain('mail.example:587')
})

test('the same error says more the further the mail had got', () => {
  const error = { code: 'ECONNECTION' }
  expect(judge(error, 'connecting')).toBeInstanceOf(MailServerError)
  expect(judge(error, 'sending').constructor).toBe(Error)
  expect(judge(error, 'handed_over')).toBeInstanceOf(UncertainEffectError)
  expect(judge({ code: 'ESOCKET', originalCode: 'ECONNREFUSED' }, 'sending')).toBeInstanceOf(MailServerError)
  const timeout = (timeoutType: string) => judge({ code: 'ETIMEDOUT', timeoutType }, 'sending')
  expect(timeout('GREETING_TIMEOUT')).toBeInstanceOf(MailServerError)
  expect(timeout('SOCKET_TIMEOUT').constructor).toBe(Error)
})

test('a login the server cannot check now is told apart from a wrong one', () => {
  expect(judge({ code: 'EAUTH', responseCode: 454, response: '454 later' })).toMatchObject({
    kind: 'unavailable',
  })
  expect(judge({ code: 'EAUTH', responseCode: 535, response: '535 no' })).toMatchObject({ kind: 'login' })
})

test('a mail the client itself refuses to send is final', () => {
  expect(judge({ code: 'EMESSAGE' }, 'connecting')).toBeInstanceOf(UnrecoverableError)
})

test('replies are permanent by their code, with the exceptions of the standard', () => {
  expect([550, 552, 554].map((code) => isPermanent(code))).toEqual([true, true, true])
  expect([250, 450, 503, 535, 600].some((code) => isPermanent(code))).toBe(false)
  expect(isPermanent(552, '552 5.5.3 Too many recipients')).toBe(false)
})

test('a reply becomes one printable line of bounded length', () => {
  expect(cleanReply('550-a\r\n550 \u0007b')).toBe('550-a 550 b')
  expect(cleanReply('x'.repeat(5000))).toHaveLength(160)
})

describe('encryption', () => {
  test.each([
    [
      { host: 'mail.example', port: 465 },
      { secure: true, requireTls: false, ignoreTls: false },
    ],
    [
      { host: 'mail.example', port: 587 },
      { secure: false, requireTls: true, ignoreTls: false },
    ],
    [
      { host: 'mail.example', port: 465, secure: false },
      { secure: false, requireTls: true, ignoreTls: false },
    ],
    [
      { host: 'relay', port: 25, requireTls: false },
      { secure: false, requireTls: false, ignoreTls: false },
    ],
    [
      { host: 'localhost', port: 1025 },
      { secure: false, requireTls: false, ignoreTls: true },
    ],
    [
      { host: '127.0.0.1', port: 25, requireTls: true },
      { secure: false, requireTls: true, ignoreTls: false },
    ],
  ])('of %j', (settings, expected) => {
    expect(decideSecurity(settings)).toEqual(expected)
  })

  test('a login never goes in plaintext to another machine', () => {
    expect(() => decideSecurity({ host: 'relay', port: 25, requireTls: false, user: 'u' })).toThrow(
      SetupError,
    )
    expect(() => decideSecurity({ host: '127.0.0.1', port: 25, requireTls: false, user: 'u' })).not.toThrow()
  })

  test('only names that cannot be another machine count as this one', () => {
    expect(
      ['localhost', 'LOCALHOST.', 'a.localhost', '127.0.0.1', '127.9.8.7', '::1', '[::1]'].every(isLoopback),
    ).toBe(true)
    const others = [
      'localhost.example',
      '127.0.0.1.example',
      '10.0.0.1',
      '127.1',
      '0.0.0.0',
      'mylocalhost',
      '::2',
    ]
    expect(others.some(isLoopback)).toBe(false)
  })
})
