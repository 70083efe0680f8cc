/** Makes sure that the user PostgreSQL runs as can use its programs: in their package, or else in a copy. */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { copyOnce, restoreLinks } from './libraries.ts'
import type { Packages } from './packages.ts'
import { canUse, type Home } from './unprivileged.ts'

export type Programs = { readonly postgres: string; readonly initdb: string; readonly postgrest: string }

export function preparePrograms(packages: Packages, home: Home, log: (line: string) => void): Programs {
  const copied = (from: string, name: string) => {
    const target = join(home.folder, name)
    if (!existsSync(target)) log(`copying ${name} to ${home.folder}: it cannot be used where it is installed`)
    return copyOnce(from, target)
  }
  let folder = packages.postgresFolder
  const usable =
    restoreLinks(folder) &&
    canUse(home.runAs, {
      run: [join(folder, 'bin', 'postgres'), join(folder, 'bin', 'initdb')],
      read: [join(folder, 'lib'), join(folder, 'share', 'postgresql', 'postgres.bki')],
    })
  if (!usable) folder = copied(folder, `postgresql-${versionOf(join(folder, '..'))}`)
  const postgrest = canUse(home.runAs, { run: [packages.postgrestFile] })
    ? packages.postgrestFile
    : copied(packages.postgrestFile, `postgrest-${versionOf(dirname(packages.postgrestFile))}`)
  return { postgres: join(folder, 'bin', 'postgres'), initdb: join(folder, 'bin', 'initdb'), postgrest }
}

function versionOf(packageFolder: string): string {
  const manifest: unknown = JSON.parse(readFileSync(join(packageFolder, 'package.json'), 'utf8'))
  return String((manifest as { version?: unknown }).version)
}
