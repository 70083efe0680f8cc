import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { knownSecrets, readEnvironment } from '../../src/config.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'queue-worker-env-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))
const write = (content: string | Buffer) => writeFileSync(join(folder, '.env'), content)

test('the environment wins over .env, also with an empty value', () => {
  write('A=file\nB=file\nC=file # a comment\nD="with # sign"\n')
  expect(readEnvironment(folder, { A: 'process', B: '' })).toEqual({
    A: 'process',
    B: '',
    C: 'file',
    D: 'with # sign',
  })
})

test('a missing .env is fine', () => {
  expect(readEnvironment(folder, { A: '1' })).toEqual({ A: '1' })
})

test('a byte order mark and Windows line ends do no harm', () => {
  write('\uFEFFA=1\r\nB=2\r\n')
  expect(readEnvironment(folder, {})).toEqual({ A: '1', B: '2' })
})

test('a file that cannot be read as text is refused with what to do', () => {
  write(Buffer.from('\uFEFFA=1', 'utf16le'))
  expect(() => readEnvironment(folder, {})).toThrow(/UTF-16/)
  rmSync(join(folder, '.env'))
  mkdirSync(join(folder, '.env'))
  expect(() => readEnvironment(folder, {})).toThrow(/cannot be read \(EISDIR\)/)
})

test('the secrets are known also when the settings make no sense or .env cannot be read', () => {
  const env = { PORT: 'x', SMTP_PASS: 'mail-pass', DATABASE_URL: 'postgresql://u:pw-1@/d?host=/run/pg' }
  write('SUPABASE_SECRET_KEY=from-file\n')
  expect(knownSecrets(folder, env)).toEqual(expect.arrayContaining(['mail-pass', 'pw-1', 'from-file']))
  write(Buffer.from('\uFEFFA=1', 'utf16le'))
  expect(knownSecrets(folder, env)).toEqual(expect.arrayContaining(['mail-pass', 'pw-1']))
})
