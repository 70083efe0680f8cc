/** Every command of the README and of docs/ exists, with every option, script and setting it names. Most are also run: see doc-not-run.ts. */
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { runCli } from '../../src/cli.ts'
import { splitOverride } from '../../src/config/overrides.ts'
import { KNOWN_NAMES } from '../../src/config/settings.ts'
import { projectRoot } from '../support/cli.ts'
import { codeInProse, PAGES } from '../support/doc-blocks.ts'
import { commandsOf, ownArguments, parsed } from '../support/doc-commands.ts'
import { NOT_RUN, whyNotRun } from '../support/doc-not-run.ts'

const all = PAGES.flatMap((page) =>
  commandsOf(page).flatMap((line) => parsed(line).map((command) => ({ page, ...command }))),
)
/** In the text, without the program before it or with placeholders, they are commands all the same. */
const inProse = PAGES.flatMap(codeInProse)
  .filter((code) => /^(npx )?queue-worker [a-z]/.test(code))
  .flatMap((code) => parsed(code.replace(/^(npx )?/, 'npx ')))
const words = ({ program, args }: { program: string; args: readonly string[] }) =>
  [program, ...args].join(' ')
const { scripts } = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8'))

/** What `queue-worker <words> --help` says. */
async function helpOf(argv: readonly string[]): Promise<string> {
  const told: string[] = []
  const say = (text: string) => void told.push(text)
  const code = await runCli([...argv, '--help'], {
    cwd: '/',
    isTerminal: false,
    out: say,
    err: say,
    onStop() {},
  })
  return code === 0 ? told.join('\n') : ''
}

const hasCommands = (help: string) => help.includes('\nCommands:')

/** Variables of the shell, of Node.js, of Compose, of OpenTelemetry, and of one of our tests. */
const OF_OTHERS = [
  ...['PATH', 'HTTPS_PROXY', 'NODE_OPTIONS', 'NODE_TLS_REJECT_UNAUTHORIZED', 'ENV_FILE'],
  ...['OTEL_EXPORTER_OTLP_ENDPOINT', 'OTEL_SERVICE_NAME', 'RUNBOOK_DEPTH'],
]

test('there are many', () => {
  expect(all.length).toBeGreaterThan(100)
})

describe('our own program knows', () => {
  const own = [...all, ...inProse].flatMap((command) => {
    const argv = ownArguments(command)
    return argv === undefined ? [] : [[words(command), argv] as const]
  })
  test.each([...new Map(own)])('%s', async (_, argv) => {
    const [first = '', second = ''] = argv
    expect(await helpOf([])).toMatch(new RegExp(`^  ${first}\\b`, 'm'))
    const group = await helpOf([first])
    const isNested = hasCommands(group) && new RegExp(`^  ${second}\\b`, 'm').test(group) && second !== ''
    const help = isNested ? await helpOf([first, second]) : group
    for (const flag of argv.filter((word) => /^--?[a-z]/.test(word)))
      expect(help).toMatch(new RegExp(`${flag}\\b`))
  })
})

test('every npm script that is named exists', () => {
  const named = all.flatMap(({ program, args: [verb = '', script = ''] }) => {
    if (program !== 'npm' || !['run', 'start', 'test'].includes(verb)) return []
    return verb === 'run' ? script : verb
  })
  expect(named.length).toBeGreaterThan(5)
  expect(named.filter((name) => !(name in scripts))).toEqual([])
})

test('every setting that is named, in the text or before a command, is one', () => {
  const before = all.flatMap(({ settings }) => settings.map((one) => one.split('=')[0] ?? ''))
  const inText = PAGES.flatMap(codeInProse).flatMap(
    (code) => code.match(/(?<![\w$.-])[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+(?![\w-])/g) ?? [],
  )
  const named = [...new Set([...before, ...inText])]
  expect(named.length).toBeGreaterThan(60)
  const known = (name: string) =>
    KNOWN_NAMES.includes(name) || OF_OTHERS.includes(name) || splitOverride(name)
  expect(named.filter((name) => !known(name))).toEqual([])
})

test('what is not run has a reason, and each reason has something that is not run', () => {
  const foreign = all.filter((command) => ownArguments(command) === undefined)
  expect(foreign.filter((one) => whyNotRun(one.page, words(one)) === undefined).map(words)).toEqual([])
  const unused = NOT_RUN.filter(
    (one) => !all.some((command) => one.command.test(`${command.page}: ${words(command)}`)),
  )
  expect(unused).toEqual([])
})

test('the tests that the reasons name exist', () => {
  const paths = globSync('**/*.test.ts', { cwd: new URL('../', import.meta.url) })
  const named = NOT_RUN.flatMap(({ why }) => why.match(/[\w/-]+\.test\.ts/g) ?? [])
  expect(named.length).toBeGreaterThan(10)
  expect(named.filter((name) => !paths.some((path) => `/${path}`.endsWith(`/${name}`)))).toEqual([])
})
