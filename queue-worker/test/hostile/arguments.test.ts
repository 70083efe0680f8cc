/**
 * The command line and the environment with arbitrary words and values: one clear message and an exit code, never a stack
 * trace, never a secret. Most of it runs in this process; nothing here connects to anything.
 */
import { readdirSync } from 'node:fs'
import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { runCli } from '../../src/cli.ts'
import { QUEUE_SUFFIXES } from '../../src/config/overrides.ts'
import { KNOWN_NAMES } from '../../src/config/settings.ts'
import { endAll, folder, removeFolder, run } from '../support/cli.ts'
import { forAll, nastyText } from '../support/hostile.ts'

/** Whatever secret is planted has this in it, so that half of one is found too. */
const MARK = 'pL4nt3dF0rAllT0See'
const SECRETS = {
  SUPABASE_SECRET_KEY: `sb_secret_${MARK}-key`,
  PGPASSWORD: `${MARK} pg/pass`,
  SMTP_PASS: `${MARK}:smtp"pass`,
  DATABASE_URL: `postgresql://somebody:${MARK}%2Fdb@127.0.0.1:1/postgres`,
}
/** Settings that can be used, leading nowhere. */
const SOUND = {
  ...{ ...SECRETS, QUEUE_TRANSPORT: 'rpc', SUPABASE_URL: 'http://127.0.0.1:1' },
  ...{ SMTP_HOST: 'mail.example', SMTP_USER: 'somebody', SMTP_FROM: 'a@b.example' },
}
const SECRET_NAMES =
  /^(SUPABASE_SECRET_KEY|SUPABASE_SERVICE_ROLE_KEY|PGPASSWORD|DB_PASSWORD|SMTP_PASS|SMTP_PASSWORD)$/
/** Settings that are shown as they are, because they say where something is or what it is called. */
const SHOWN =
  /^(SUPABASE_URL|PGHOST|PGUSER|PGDATABASE|DB_HOST|DB_USER|DB_NAME|WORKER_ID|PROCESSORS|HOST|SMTP_(HOST|USER|FROM)|FROM_EMAIL|\w+_FILE|\w+_DIR|QUEUES)$/

let cwd = ''
const original = { ...process.env }
beforeAll(async () => {
  cwd = await folder()
})
afterEach(() => {
  setEnvironment(original)
  return endAll()
})
afterAll(() => removeFolder(cwd))

function setEnvironment(env: Readonly<Record<string, string | undefined>>): void {
  for (const name of Object.keys(process.env)) delete process.env[name]
  for (const [name, value] of Object.entries(env)) if (value !== undefined) process.env[name] = value
}

async function inProcess(argv: readonly string[], env: Readonly<Record<string, string>>) {
  setEnvironment({ PATH: original.PATH, HOME: original.HOME, ...env })
  const out: string[] = []
  const err: string[] = []
  const io = { cwd, isTerminal: false, onStop: () => {} }
  const code = await runCli(argv, {
    ...io,
    out: (text) => void out.push(text),
    err: (text) => void err.push(text),
  })
  return { code, out: out.join('\n'), err: err.join('\n') }
}

function expectClean(text: string): void {
  expect(text).not.toMatch(/\n {4}at |node_modules|TypeError|undefined/)
  expect(text.toLowerCase()).not.toContain(MARK.toLowerCase())
  for (const offset of [0, 1, 2]) {
    const encoded = Buffer.from(' '.repeat(offset) + MARK).toString('base64')
    expect(text).not.toContain(encoded.slice(offset === 0 ? 0 : 4, -4))
  }
}

const noNul = nastyText.filter((text) => !text.includes('\u0000'))
const word = fc.oneof(
  noNul,
  fc.constantFrom(
    ...Object.values(SECRETS),
    '--json',
    '--',
    '-',
    '--delay',
    '--at',
    '--key',
    '--headers',
    '--within',
  ),
  fc.constantFrom(
    '{}',
    '{"a":1}',
    '[1',
    'email_queue',
    '30s',
    '1e999s',
    '9'.repeat(400),
    '2026-12-01T09:00:00Z',
  ),
  fc.constantFrom(
    '+275760-09-14T00:00:00Z',
    '--watch=1',
    '--json=no',
    '--__proto__',
    '--constructor=1',
    '-x',
  ),
)

describe('any command line', () => {
  // What of these would start something in earnest gets a word too many.
  const HARMLESS = [
    'send',
    'queues',
    'check',
    'migrate',
    'drain',
    'schedules',
    'schedules add',
    'schedules pause',
  ]
  const IN_EARNEST = ['start', 'worker', 'scheduler', 'dev', 'demo', 'stack']

  test.each(HARMLESS)('%s says in one message what it cannot use, and never a secret', async (command) => {
    const codes = new Set<number>()
    const { isComplete } = await forAll(fc.array(word, { maxLength: 6 }), { runs: 80 }, async (words) => {
      const argv = [...command.split(' '), ...words]
      const { code, out, err } = await inProcess(argv, { ...SECRETS, QUEUE_TRANSPORT: 'rpc' })
      codes.add(code)
      expectClean(out + err)
      if (code === 0) return expect(out).toMatch(/^Usage: /)
      expect([2, 3]).toContain(code)
      // `check --json` says it as JSON.
      if (command === 'check' && err === '') return expect(JSON.parse(out)).toMatchObject({ ok: false })
      expect(err.match(/^error: \S/gm)).toHaveLength(1)
      expect(err).toMatch(code === 2 ? /--help tells more\)$/ : /\n\nWhat to do: \S/)
    })
    if (isComplete) expect(codes).toContain(2)
    expect(readdirSync(cwd)).toEqual([])
  })

  test.each(IN_EARNEST)('%s with a word too many starts nothing', async (command) => {
    await forAll(fc.array(word, { maxLength: 4 }), { runs: 25 }, async (words) => {
      const { code, out, err } = await inProcess([command, ...words, '--', 'surplus'], SOUND)
      expectClean(out + err)
      expect([code, out]).toEqual([2, ''])
      expect(err.match(/^error: \S/gm)).toHaveLength(1)
    })
    expect(readdirSync(cwd)).toEqual([])
  })

  test('that begins with no command is told so', async () => {
    const known = [...HARMLESS, ...IN_EARNEST, 'help', '-h', '--help', '-V', '--version']
    const lines = fc
      .array(word, { minLength: 1, maxLength: 4 })
      .filter(([first = '']) => !known.includes(first))
    await forAll(lines, { runs: 80 }, async (argv) => {
      const { code, out, err } = await inProcess(argv, SOUND)
      expectClean(out + err)
      expect([code, out]).toEqual([2, ''])
      expect(err).toMatch(/^(error: \S|Usage: )/)
    })
  })
})

describe('any value of a setting', () => {
  const overrides = QUEUE_SUFFIXES.map((suffix) => `EMAIL_QUEUE_${suffix}`)
  const misspelt = ['WORKER_CONCURENCY', 'SMTP_PASSWD', 'EMAIL_QUEUE_CONCURENCY', 'SUPABASE_SECRETKEY']
  const numbers = ['0', '-1', '1e3', '0x10', '1,5', '١٢', '99999999999999999999', 'NaN', '1.5', ' 7 ', '+3']
  const texts = fc.oneof(noNul, fc.constantFrom(...numbers), fc.webUrl(), fc.emailAddress())

  test.each([...KNOWN_NAMES, ...overrides, ...misspelt])(
    '%s is used or refused by its name',
    async (name) => {
      await forAll(texts, { runs: 12 }, async (text) => {
        const isHidden = !SHOWN.test(name)
        const value =
          name === 'DATABASE_URL'
            ? `postgresql://u:${MARK}${text}@127.0.0.1:1/db`
            : SECRET_NAMES.test(name)
              ? MARK + text
              : text
        // Under both transports, as each has settings of its own; an alias counts only where its name is not set.
        const { PGPASSWORD: _1, SMTP_PASS: _2, SMTP_FROM: _3, SUPABASE_SECRET_KEY: _4, ...rest } = SOUND
        const base = /^(SMTP_PASSWORD|FROM_EMAIL|SUPABASE_SERVICE_ROLE_KEY|DB_\w+)$/.test(name) ? rest : SOUND
        for (const transport of name === 'QUEUE_TRANSPORT' ? [value] : ['rpc', 'postgres']) {
          const env = { ...base, QUEUE_TRANSPORT: transport, [name]: value }
          const { code, out, err } = await inProcess(['check'], env)
          expectClean(out + err)
          expect([0, 3]).toContain(code)
          if (code === 0) {
            expect(err).toBe('')
            continue
          }
          expect(err.match(/^error: \S/gm)).toHaveLength(1)
          expect(err).toMatch(/\n\nWhat to do: \S/)
          if (isHidden && text.trim().length > 12 && !numbers.includes(text))
            expect(err).not.toContain(text.trim())
        }
      })
    },
  )

  test('and of many at once, as text and as JSON', async () => {
    const names = fc.constantFrom(...KNOWN_NAMES.filter((name) => name !== 'DATABASE_URL'), ...overrides)
    const environments = fc.dictionary(names, texts, { minKeys: 2, maxKeys: 12 })
    await forAll(environments, { runs: 150 }, async (chosen) => {
      const marked = Object.entries(chosen).map(([name, text]) => [
        name,
        SECRET_NAMES.test(name) ? MARK + text : text,
      ])
      const { code, out, err } = await inProcess(['check', '--json'], {
        ...SOUND,
        ...Object.fromEntries(marked),
      })
      expectClean(out + err)
      expect([
        [0, true],
        [3, false],
      ]).toContainEqual([code, JSON.parse(out).ok])
    })
  })
})

test('real processes end by themselves, without a stack trace', { timeout: 120_000 }, async () => {
  const tries: [string[], Record<string, string>, number][] = [
    [['start'], { ...SOUND, QUEUES: "x'; drop table pgmq.meta; --", PORT: '99999' }, 3],
    [['worker', SECRETS.SUPABASE_SECRET_KEY], SOUND, 2],
    [['send', "x'; drop table pgmq.meta; --", '{"__proto__": 1}', '--key', SECRETS.SMTP_PASS], SOUND, 2],
    [['send', '__proto__', '{"__proto__": 1}', '--key', SECRETS.SMTP_PASS], SOUND, 3],
  ]
  await Promise.all(
    tries.map(async ([args, env, expected]) => {
      const { code, text } = await run(args, { cwd, env })
      expect(code, text).toBe(expected)
      expect(text).toMatch(/^error: \S/)
      expectClean(text)
    }),
  )
})
