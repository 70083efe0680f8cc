/**
 * The package of PostgreSQL's programs leaves the links between its libraries to an install script, and many
 * installs do not run those. Here they are made instead, in the package or, where it is read-only, in a copy.
 */
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'

type Link = { readonly source: string; readonly target: string }

/** Makes the missing links below `folder` (the package's `native`). False when it may not be written. */
export function restoreLinks(folder: string): boolean {
  for (const { source, target } of readLinks(folder)) {
    const path = join(dirname(folder), target)
    try {
      if (!existsSync(path)) symlinkSync(relative(dirname(target), source), path)
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code
      // Another process may be doing the same at this moment.
      if (code === 'EEXIST') continue
      if (code === 'EROFS' || code === 'EACCES' || code === 'EPERM') return false
      throw error
    }
  }
  return true
}

/** Copies a program or a whole `native` folder to `target`, once, readable for all; links are made in the copy. */
export function copyOnce(source: string, target: string): string {
  if (existsSync(target)) return target
  const temporary = mkdtempSync(`${target}.`)
  const copy = join(temporary, basename(source))
  cpSync(source, copy, { recursive: true, verbatimSymlinks: true, filter: (path) => !path.endsWith('.a') })
  openForAll(copy)
  if (existsSync(join(copy, 'pg-symlinks.json'))) restoreLinks(copy)
  try {
    renameSync(copy, target)
  } catch (error) {
    // Made by another process in the meantime.
    if (!existsSync(target)) throw error
  } finally {
    rmSync(temporary, { recursive: true, force: true })
  }
  return target
}

function readLinks(folder: string): readonly Link[] {
  const list = join(folder, 'pg-symlinks.json')
  return existsSync(list) ? (JSON.parse(readFileSync(list, 'utf8')) as Link[]) : []
}

/** Lets everyone read, and run what its owner may run: an install under a strict umask allows neither. */
function openForAll(path: string): void {
  const { mode } = statSync(path)
  chmodSync(path, mode & 0o100 ? 0o755 : 0o644)
  if (!statSync(path).isDirectory()) return
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    if (!entry.isSymbolicLink()) openForAll(join(path, entry.name))
  }
}
