/** What a stack's folder remembers in stack.json: its secrets for good, and the run that is under way. */
import { chownSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { SetupError } from '../errors.ts'
import type { Secrets } from './keys.ts'
import type { ProcessId } from './processes.ts'

export type Ports = { readonly gateway: number; readonly postgres: number; readonly smtp: number }

export type Run = {
  readonly owner: ProcessId
  readonly children: readonly ProcessId[]
  /** Null until everything answers. */
  readonly ports: Ports | null
}

export type State = { readonly secrets: Secrets; readonly run: Run | null }

/** Null when there is none yet. Throws SetupError when it belongs to another user or is not readable as JSON. */
export function readState(path: string): State | null {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as State
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'ENOENT') return null
    throw new SetupError(
      `the embedded stack cannot read ${path} (${code ?? 'not valid JSON'})`,
      code === 'EACCES'
        ? 'Its folder was made by another user (root, perhaps): start as that user, or remove the folder.'
        : 'Remove its folder; the embedded stack starts afresh, without the data that was in it.',
      { cause: error },
    )
  }
}

/** Replaces the file in one step, so that a reader never sees half of it. Only its owner may read it. */
export function writeState(path: string, state: State): void {
  const temporary = `${path}.${process.pid}`
  writeFileSync(temporary, JSON.stringify(state, null, 2), { mode: 0o600 })
  // Root working in a user's folder leaves the file to that user.
  const folder = statSync(dirname(path))
  if (process.getuid?.() === 0 && folder.uid !== 0) chownSync(temporary, folder.uid, folder.gid)
  renameSync(temporary, path)
}
