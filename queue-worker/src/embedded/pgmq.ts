/** pgmq's extension files, out of the archive in which their package carries them. */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { gunzipSync } from 'node:zlib'

/** How pgmq gets into a database: as an extension from a folder, or by running its script. */
export type PgmqSource =
  | { readonly kind: 'extension'; readonly controlPath: string }
  | { readonly kind: 'script'; readonly sql: string }

/**
 * PostgreSQL finds extensions outside its own installation from version 18 on, in a path that is split at colons.
 * Where that does not work the script is run instead.
 */
export function preparePgmq(archive: string, homeFolder: string, major: number): PgmqSource {
  // Another version of the archive is unpacked beside the earlier one.
  const digest = createHash('sha256').update(readFileSync(archive)).digest('hex').slice(0, 8)
  const folder = join(homeFolder, `pgmq-${digest}`)
  if (major >= 18 && !folder.includes(':')) {
    if (!existsSync(folder)) unpack(archive, folder)
    return { kind: 'extension', controlPath: `$system:${folder}` }
  }
  const files = readArchive(archive)
  const version = /default_version = '([^']+)'/.exec(files.get('pgmq.control') ?? '')?.[1]
  const sql = files.get(`pgmq--${version}.sql`)
  if (sql === undefined) throw new Error(`no script of pgmq ${version} in ${archive}`)
  return { kind: 'script', sql }
}

function unpack(archive: string, folder: string): void {
  const temporary = `${folder}.new`
  rmSync(temporary, { recursive: true, force: true })
  // PostgreSQL looks into the folder "extension" of each place on its path.
  mkdirSync(join(temporary, 'extension'), { recursive: true })
  for (const [name, text] of readArchive(archive)) writeFileSync(join(temporary, 'extension', name), text)
  renameSync(temporary, folder)
}

/** The files of a tar.gz by their last name. Reads plain files only, which is all this archive holds. */
function readArchive(archive: string): Map<string, string> {
  const bytes = gunzipSync(readFileSync(archive))
  const files = new Map<string, string>()
  const block = 512
  const text = (from: number, length: number) =>
    bytes.toString('utf8', from, from + length).replace(/\0.*$/s, '')
  for (let at = 0; at + block <= bytes.length && bytes[at] !== 0; ) {
    const name = text(at, 100)
    const size = Number.parseInt(text(at + 124, 12), 8)
    const type = text(at + 156, 1)
    const isFile = type === '0' || type === ''
    if (isFile) files.set(basename(name), bytes.toString('utf8', at + block, at + block + size))
    at += block + Math.ceil(size / block) * block
  }
  return files
}
