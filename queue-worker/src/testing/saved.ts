/** A database that is ready, kept as a file beside the packages it is made with: making one takes seconds, loading it less than one. */
import { createHash, randomUUID } from 'node:crypto'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

export type Saved = {
  /** Null when there is none. */
  load(): Promise<Blob | null>
  /** A folder that cannot be written to only costs time. */
  save(data: Blob): Promise<void>
}

/** `ingredients`: all that makes a saved one useless when it changes. */
export async function savedDatabase(ingredients: readonly string[]): Promise<Saved> {
  const program = dirname(createRequire(import.meta.url).resolve('@electric-sql/pglite'))
  const version = await readFile(join(program, '..', 'package.json'), 'utf8')
  const digest = createHash('sha256')
    .update(JSON.stringify([version, ...ingredients]))
    .digest('hex')
  const folder = join(program, '../../..', '.cache', 'queue-worker')
  const path = join(folder, `database-${digest.slice(0, 16)}.tar.gz`)
  return {
    load: () =>
      readFile(path).then(
        (bytes) => new Blob([bytes], { type: 'application/x-gzip' }),
        () => null,
      ),
    async save(data) {
      try {
        await mkdir(folder, { recursive: true })
        const unfinished = `${path}.${randomUUID()}`
        await writeFile(unfinished, Buffer.from(await data.arrayBuffer()))
        await rename(unfinished, path)
      } catch {}
    },
  }
}
