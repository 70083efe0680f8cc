import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readAuthorities } from '../../src/services/network.ts'
import { readAddress } from '../../src/services/postgres/address.ts'

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

test('a CA file that is missing or holds no certificate is refused', () => {
  const folder = mkdtempSync(join(tmpdir(), 'queue-worker-ca-'))
  const file = join(folder, 'ca.pem')
  expect(() => readAuthorities(file)).toThrow(/cannot be read/)
  writeFileSync(file, 'nothing')
  expect(() => readAuthorities(file)).toThrow(/holds no certificate/)
  rmSync(folder, { recursive: true })
})
