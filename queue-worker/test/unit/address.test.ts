import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { SetupError } from '../../src/errors.ts'
import { createPublisher } from '../../src/services/amqp.ts'
import { createMailer } from '../../src/services/email.ts'
import { createCallbackClient } from '../../src/services/http.ts'
import { readAddress } from '../../src/services/postgres/address.ts'
import { connectPostgres } from '../../src/services/postgres.ts'
import { connectSupabase } from '../../src/services/supabase.ts'

const AMQP = {
  host: 'h',
  port: 5671,
  user: 'u',
  password: 'p',
  vhost: '/',
  secure: true,
  heartbeatSeconds: 20,
}

test.each([
  ['postgres://u:p%40%2F@h:5433/d', { host: 'h', port: 5433, user: 'u', password: 'p@/', database: 'd' }],
  ['postgresql://u@h', { port: 5432, password: '', database: 'u' }],
  ['postgresql://[::1]:5432/d', { host: '::1', tls: 'off' }],
  ['postgresql://u@/d?host=/run/pg', { socketPath: '/run/pg/.s.PGSQL.5432', tls: 'off' }],
  ['postgresql://u@%2Frun%2Fpg:5433/d', { socketPath: '/run/pg/.s.PGSQL.5433', tls: 'off' }],
  ['postgresql://u@h:6543/d', { transactionPooler: true, pooler: true }],
  ['postgresql://u@aws-0-eu.pooler.supabase.com:5432/d', { transactionPooler: false, pooler: true }],
  ['postgresql://u@h/d', { transactionPooler: false, pooler: false, tls: 'verify' }],
  ['postgresql://u@h/d?sslmode=prefer', { tls: 'verify' }],
  ['postgresql://u@h/d?sslmode=disable', { tls: 'off' }],
  ['postgresql://u@h/d?sslmode=verify-ca&sslrootcert=/ca.pem', { tls: 'verify-ca', rootCertFile: '/ca.pem' }],
  ['postgresql://u@localhost/d', { tls: 'off' }],
  ['postgresql://u@127.0.0.1/d?sslmode=require', { tls: 'verify' }],
])('%s is read our way', (url, expected) => {
  expect(readAddress(url)).toMatchObject(expected)
})

test.each([
  'mysql://u:hidden@h/d',
  'postgres://u:hid#den@h:1/d',
  'hidden',
  'postgres://u:hidden%@h/d',
  'postgres://u:hidden@h/d?sslmode=no-verify',
])('what cannot be read is refused without repeating it (%#)', (url) => {
  expect(() => readAddress(url)).toThrow(/DATABASE_URL/)
  expect(() => readAddress(url)).not.toThrow(/hid/)
})

test('a CA file that is missing, or holds what is no certificate, is refused by the name of its setting, whoever asks', () => {
  const folder = mkdtempSync(join(tmpdir(), 'queue-worker-ca-'))
  const file = join(folder, 'ca.pem')
  const setups: [setting: string, open: () => unknown][] = [
    ['DATABASE_CA_FILE', () => connectPostgres({ url: 'postgres://u@h/d', caFile: file })],
    ['DATABASE_CA_FILE', () => connectSupabase({ url: 'https://h', key: 'k', caFile: file })],
    ['SMTP_CA_FILE', () => createMailer({ host: 'h', port: 587, from: 'a@b.example', caFile: file })],
    ['AMQP_CA_FILE', () => createPublisher({ address: AMQP, caFile: file, connectTimeoutMs: 1 })],
    ['HTTP_CALLBACKS_CA_FILE', () => createCallbackClient({ secrets: [], allowPrivate: [], caFile: file })],
  ]
  const contents: [content: string | null, says: RegExp][] = [
    [null, /cannot be used: ENOENT/],
    ['nothing', /cannot be used: it holds no certificate/],
    ['-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n', /cannot be used: \S/],
  ]
  for (const [content, says] of contents) {
    if (content !== null) writeFileSync(file, content)
    for (const [setting, open] of setups) {
      expect(open, setting).toThrow(SetupError)
      expect(open, setting).toThrow(says)
      expect(open, setting).toThrow(`The CA file ${file} of ${setting} `)
    }
  }
  rmSync(folder, { recursive: true })
})
