// Checks the package as those who install it get it: what is in it, that its types resolve, that each of its entries can be
// imported and its command run, and that a program that uses it compiles. `--offline` asks no registry: it lays the files where an install would.
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const bin = join(root, 'node_modules/.bin')
const env = { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH}`, NO_COLOR: '1' }

/** Everything the package may have in it. */
const WANTED = [
  /^(package\.json|README\.md|CHANGELOG\.md|LICENSE|\.env\.example|ecosystem\.config\.js)$/,
  /^dist\/[\w./-]+\.(js|d\.ts)$/,
  /^dist\/dashboard\/assets\/\w+\.(css|svg)$/,
  /^supabase\/migrations\/\d{14}_queue_worker_\w+\.sql$/,
  /^docs\/[\w./-]+\.(md|json|svg|png)$/,
  /^(deploy|templates|examples)\/[\w./-]+$/,
]
/** As a consumer writes it: the command line's types are none of theirs. */
const CONSUMER = `
import { connectPostgres, createProducer, createWorker, defineProcessor, type Worker } from 'queue-worker'
import { createTestKit, type Ran } from 'queue-worker/testing'
import manifest from 'queue-worker/package.json' with { type: 'json' }
import { z } from 'zod'

const hello = defineProcessor({
  queue: 'hello',
  payload: z.object({ name: z.string() }),
  process({ name }, { logger }) {
    const text: string = name
    logger.info(text)
  },
})
const connection = connectPostgres({ url: '' })
export const worker: Worker = createWorker({ connection, processors: [hello] })
export const producer = createProducer(connection, { hello: hello.payload })
// @ts-expect-error there is no such queue
void producer.send('goodbye', {})
export const ran = async (): Promise<readonly Ran[]> => (await createTestKit({ processors: [hello] })).drain()
export const version: string = manifest.version
`

async function run(cwd, command, ...args) {
  try {
    return (await promisify(execFile)(command, args, { cwd, env, maxBuffer: 2 ** 26 })).stdout
  } catch (error) {
    throw new Error(
      `${command} ${args.join(' ')} failed:\n${error.stdout ?? ''}${error.stderr ?? error.message}`,
    )
  }
}

function checkFiles(paths) {
  const strange = paths.filter((path) => !WANTED.some((wanted) => wanted.test(path)))
  if (strange.length > 0) throw new Error(`these do not belong into the package:\n${strange.join('\n')}`)
  const untyped = paths.filter(
    (path) =>
      /^dist\/(?!dashboard\/assets\/).*\.js$/.test(path) && !paths.includes(path.replace(/js$/, 'd.ts')),
  )
  if (untyped.length > 0) throw new Error(`these have no types:\n${untyped.join('\n')}`)
}

async function checkTypes(folder) {
  await writeFile(join(folder, 'consumer.ts'), CONSUMER)
  for (const [module, moduleResolution] of [
    ['nodenext', 'nodenext'],
    ['esnext', 'bundler'],
  ]) {
    const compilerOptions = {
      module,
      moduleResolution,
      target: 'es2024',
      lib: ['es2024', 'esnext.disposable'],
    }
    const options = {
      ...compilerOptions,
      strict: true,
      noEmit: true,
      resolveJsonModule: true,
      types: ['node'],
    }
    await writeFile(
      join(folder, 'tsconfig.json'),
      JSON.stringify({ compilerOptions: options, include: ['*.ts'] }),
    )
    await run(folder, 'tsc', '-p', 'tsconfig.json')
  }
}

async function install(folder, tarball) {
  const { devDependencies } = await manifest()
  const quiet = ['--prefer-offline', '--no-audit', '--no-fund', '--omit=optional', '--loglevel=error']
  await run(folder, 'npm', 'install', ...quiet, tarball, `@types/node@${devDependencies['@types/node']}`)
}

/** What an install would give, without asking a registry: the package, and beside it what it says that it depends on, nothing else. */
async function link(folder, tarball) {
  const { dependencies } = await manifest()
  const modules = join(folder, 'node_modules')
  await mkdir(join(modules, 'queue-worker'), { recursive: true })
  await run(modules, 'tar', '-xzf', tarball, '-C', 'queue-worker', '--strip-components=1')
  for (const name of [...Object.keys(dependencies), '@types/node']) {
    await mkdir(dirname(join(modules, name)), { recursive: true })
    await symlink(join(root, 'node_modules', name), join(modules, name))
  }
  await mkdir(join(modules, '.bin'))
  await symlink('../queue-worker/dist/index.js', join(modules, '.bin/queue-worker'))
}

const manifest = async () => JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))

const folder = await mkdtemp(join(tmpdir(), 'queue-worker-package-'))
try {
  const packed = await run(root, 'npm', 'pack', '--ignore-scripts', '--json', '--pack-destination', folder)
  const [{ filename, files, size }] = JSON.parse(packed)
  const tarball = join(folder, filename)
  checkFiles(files.map(({ path }) => path))
  console.log(`${files.length} files, ${Math.round(size / 1024)} kB packed`)

  await Promise.all([
    run(folder, 'publint', 'run', tarball, '--strict'),
    run(folder, 'attw', tarball, '--profile', 'esm-only'),
  ])
  console.log('publint and arethetypeswrong find nothing')

  await writeFile(join(folder, 'package.json'), JSON.stringify({ private: true, type: 'module' }))
  await (process.argv.includes('--offline') ? link(folder, tarball) : install(folder, tarball))
  const { exports } = JSON.parse(
    await readFile(join(folder, 'node_modules/queue-worker/package.json'), 'utf8'),
  )
  const entries = Object.keys(exports).map((entry) => entry.replace('.', 'queue-worker'))
  for (const entry of entries) {
    const how = entry.endsWith('.json') ? ", { with: { type: 'json' } }" : ''
    await run(folder, 'node', '--input-type=module', '-e', `await import('${entry}'${how})`)
  }
  console.log(`installed alone, it gives ${entries.join(', ')}`)

  const help = await run(folder, 'npx', '--no-install', 'queue-worker', 'help')
  if (!/Usage: queue-worker/.test(help)) throw new Error(`queue-worker help says:\n${help}`)
  console.log('npx queue-worker runs')

  await checkTypes(folder)
  console.log('a program that uses it compiles, with moduleResolution nodenext and bundler')
} finally {
  await rm(folder, { recursive: true, force: true })
}
