import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { cp, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { endAll, folder, projectRoot, removeFolder, run, start } from '../support/cli.ts'

let cwd = ''
beforeAll(async () => {
  cwd = await folder()
})
afterEach(endAll)
afterAll(() => removeFolder(cwd))

const COMMANDS = [
  'start',
  'worker',
  'scheduler',
  'dev',
  'drain',
  'demo',
  'stack',
  'migrate',
  'send',
  'queues',
  'schedules',
  'inspect',
  'dead-letters',
  'pause',
  'resume',
  'prune',
  'limit',
  'stress',
  'check',
]

test('--help lists every command and the exit codes', async () => {
  const { code, out, err } = await run(['--help'], { cwd })
  expect([code, err]).toEqual([0, ''])
  for (const command of COMMANDS) expect(out).toMatch(new RegExp(`^  ${command}\\b`, 'm'))
  expect(out).toMatch(/Exit codes: 0 .*1 .*2 .*3 /s)
})

test.each(COMMANDS)('%s --help explains itself and starts nothing', async (command) => {
  const { code, out, err } = await run([command, '--help'], { cwd })
  expect([code, err]).toEqual([0, ''])
  expect(out).toMatch(new RegExp(`^Usage: queue-worker ${command} .*\n\n\\S.{20}`))
  expect(existsSync(join(cwd, '.queue-worker'))).toBe(false)
})

test('--version tells the version of the package', async () => {
  const { code, out } = await run(['--version'], { cwd })
  expect(code).toBe(0)
  expect(out).toMatch(/^\d+\.\d+\.\d+\S*\n$/)
})

describe('a command line that makes no sense ends with 2 and says why', () => {
  test.each([
    [['bogus'], /unknown command 'bogus'/],
    [['start', '--bogus'], /unknown option '--bogus'/],
    [['start', 'now'], /too many arguments/],
    [['send'], /missing required argument 'queue'/],
    [['send', 'email_queue'], /missing required argument 'json'/],
    [['send', 'email_queue', '{to: x}'], /the message is not JSON \(.*\); quote it for your shell/],
    [['send', 'Email Queue', '{}'], /"Email Queue" is no queue name: use 1 to 43 of a-z/],
    [['send', 'email_queue', '{}', '--delay', '5 parsecs'], /--delay.*'5 parsecs' is invalid. Write 30s/],
    [['inspect', 'email_queue', 'first'], /'first' is invalid.*An id is a whole number/],
    [['pause'], /give either the name of a queue or --all/],
    [['resume', 'email_queue', '--all'], /give either the name of a queue or --all/],
    [['dead-letters'], /Usage: queue-worker dead-letters/],
    [['dead-letters', 'list'], /missing required argument 'queue'/],
    [['dead-letters', 'list', 'Email'], /A queue name has 1 to 43 of a-z/],
    [['dead-letters', 'list', 'email_queue', '--reason', 'bored'], /Allowed choices are invalid_payload, /],
    [['dead-letters', 'redrive', 'email_queue', '--rate', 'fast'], /Write 50\/s, 10\/m or 100\/h/],
    [['dead-letters', 'redrive', 'email_queue', '--since', 'noon'], /Write how long ago \(30m, 2h, 1d\), or/],
    [['dead-letters', 'discard', 'email_queue'], /say which: ids, --reason/],
    [['dead-letters', 'discard', 'email_queue', '--all'], /discarding is for good: add --yes/],
    [['send', 'email_queue', '{}', '--at', 'soon'], /--at soon: give a time with its zone, like 20/],
    [['send', 'email_queue', '{}', '--at', '2026-12-01T09:00:00'], /give a time with its zone/],
    [
      ['send', 'email_queue', '{}', '--delay', '5s', '--at', '2026-12-01T09:00:00Z'],
      /either --delay or --at/,
    ],
    [['send', 'email_queue', '{}', '--headers', '[1]'], /--headers is not a JSON object/],
    [['send', 'email_queue', '{}', '--headers', 'x'], /--headers is not JSON/],
    [['send', 'email_queue', '{}', '--key', ' '], /--key is empty/],
    [['send', 'email_queue', '{"a": "\\u0000"}'], /NUL character/],
    [
      ['stress', '--messages', 'many'],
      /--messages.*'many' is invalid. Give a whole number from 1 to 1000000/,
    ],
    [['stress', '--messages', '1.5'], /--messages.*'1.5' is invalid. Give a whole number/],
    [['stress', '--rate', '0'], /--rate.*'0' is invalid. Give a number from 0.01 to 1000000/],
    [['stress', '--fail', '2'], /--fail.*'2' is invalid. Give a number from 0 to 1/],
    [['stress', '--size', '10'], /--size.*'10' is invalid. Give a whole number from 50/],
    [['stress', '--messages', '1000000', '--size', '1000000'], /more than 10 GB in your database/],
    [['drain', '--within', 'soon'], /--within.*'soon' is invalid. Write 30s/],
  ])('%j', async (args, says) => {
    const { code, out, err } = await run(args, { cwd })
    expect(err).toMatch(says)
    expect(err).not.toMatch(/ {4}at /)
    expect([code, out]).toEqual([2, ''])
    expect(existsSync(join(cwd, '.queue-worker'))).toBe(false)
  })
})

test('output into a program that stops reading is no error', async () => {
  const command = `"$0" "$1" --help | head -1`
  const entry = join(projectRoot, 'queue-worker/src/index.ts')
  const { code, out, err } = await run(['-c', command, process.execPath, entry], {
    cwd,
    command: ['/bin/sh'],
  })
  expect([code, out, err]).toEqual([0, 'Usage: queue-worker [options] [command]\n', ''])
})

/** A Node older than we need, if the machine has one. */
const oldNode = ['/usr/bin/node', '/usr/local/bin/node'].find((path) => {
  if (!existsSync(path)) return false
  const [major = 0, minor = 0] = execFileSync(path, ['--version'], { encoding: 'utf8' })
    .slice(1)
    .split('.')
    .map(Number)
  return major < 22 || (major === 22 && minor < 18)
})

test.skipIf(oldNode === undefined)('an old Node is told in one sentence what it is', async () => {
  const copy = join(cwd, 'built')
  for (const path of ['package.json', 'scripts', 'queue-worker/src', 'supabase']) {
    await cp(join(projectRoot, path), join(copy, path), { recursive: true })
  }
  await symlink(join(projectRoot, 'node_modules'), join(copy, 'node_modules'))
  // Without the type declarations: they take long, and other tests see to them.
  const build = `import('${join(copy, 'scripts/build.js')}').then((m) => { try { m.build() } catch {} })`
  await run(['-e', build], { cwd: copy, command: [process.execPath] })
  const old = start(['start'], { cwd, command: [oldNode ?? '', join(copy, 'dist/index.js')] })
  expect(await old.ended).toBe(3)
  expect(old.out()).toBe('')
  expect(old.err()).toMatch(
    /^queue-worker needs Node\.js 22\.18 or newer; this is v\d+\.\S+\. Install a newer one .*\n$/,
  )
})
