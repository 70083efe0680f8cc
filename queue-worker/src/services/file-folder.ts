/** Files in a local folder. Made under a hidden name beside their place, then renamed, which is all or nothing. */
import { randomBytes } from 'node:crypto'
import { lstat, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { coerceError } from '../errors.ts'
import { type FileStorage, StorageError } from './storage.ts'

const DAY_MS = 86_400_000

/** The folder is made when the first file is, with these permissions. */
export function createFileFolder(folder: string, options: { mode?: number } = {}): FileStorage {
  const root = resolve(folder)
  const place = (name: string) => join(root, safeName(name))

  return {
    kind: 'folder',
    async begin(name) {
      await mkdir(root, { recursive: true, ...options }).catch(
        told(`the folder of files, ${root}, cannot be made`),
      )
      if (options.mode !== undefined) await checkPrivate(root)
      await removeLeftovers(root, name)
      return join(root, `.${safeName(name)}.${randomBytes(6).toString('hex')}.part`)
    },
    async publish(path, name) {
      await rename(path, place(name)).catch(told(`the file ${name} cannot be put into ${root}`))
      await syncFolder(root)
      return place(name)
    },
    discard: (path) => rm(path, { force: true }).catch(() => {}),
    async size(name) {
      const found = await stat(place(name)).catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return null
        throw new StorageError(`the file ${name} cannot be looked at: ${error.message}`, { cause: error })
      })
      return found?.isFile() ? found.size : null
    },
    read: (name) => readFile(place(name)).catch(told(`the file ${name} cannot be read`)),
    link: async () => null,
    close: async () => {},
  }
}

/** A name from outside must not lead out of the folder. */
function safeName(name: string): string {
  if (name !== basename(name) || name.startsWith('.')) throw new Error(`"${name}" is no name of a file`)
  return name
}

async function removeLeftovers(root: string, name: string): Promise<void> {
  const entries = await readdir(root).catch(told(`the folder of files, ${root}, cannot be read`))
  for (const entry of entries.filter((one) => /^\..+\.[0-9a-f]{12}\.part$/.test(one))) {
    const path = join(root, entry)
    const isOurs = entry.startsWith(`.${name}.`)
    const found = isOurs ? null : await stat(path).catch(() => null)
    // A run that lost its message may still write: it notices when it cannot rename any more.
    if (isOurs || (found !== null && Date.now() - found.mtimeMs > DAY_MS)) {
      await rm(path, { force: true }).catch(() => {})
    }
  }
}

/** So that the new name lasts over a power cut. Not every system can do it for a folder. */
async function syncFolder(root: string): Promise<void> {
  const folder = await open(root).catch(() => null)
  await folder?.sync().catch(() => {})
  await folder?.close().catch(() => {})
}

function told(what: string) {
  return (thrown: unknown): never => {
    throw new StorageError(`${what}: ${coerceError(thrown).message}`, { cause: thrown })
  }
}

/** In a folder that all may write to, somebody else may have made it first. */
async function checkPrivate(root: string): Promise<void> {
  const found = await lstat(root)
  const isOurs = process.getuid === undefined || found.uid === process.getuid()
  if (isOurs && found.isDirectory() && (found.mode & 0o077) === 0) return
  throw new StorageError(`${root} is not a folder that only this user can use; remove it`)
}
