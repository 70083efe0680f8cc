/** One process owns a stack's folder: a file that names it, which stops counting when that process is gone. */
import { closeSync, openSync, readFileSync, rmSync, statSync, writeSync } from 'node:fs'
import { isRunning, type ProcessId, processId } from './processes.ts'

export type LockAttempt =
  | { readonly taken: true; readonly owner: ProcessId; release(): void }
  /** Held by another; its name is null while that one is still writing it. */
  | { readonly taken: false; readonly holder: ProcessId | null }

/** A lock file that stays without a readable owner for this long was left by a crash. */
const unreadableForMs = 10_000

/** Takes the lock, or tells who holds it. A lock whose owner no longer runs is taken over. Never waits. */
export function tryLock(path: string): LockAttempt {
  const owner = processId(process.pid)
  if (!owner) throw new Error('this process cannot be found among the running ones')
  if (create(path, owner)) return { taken: true, owner, release: () => release(path, owner) }
  const holder = readOwner(path)
  if (holder === 'abandoned' || (holder && !isRunning(holder))) removeStale(path, owner)
  return { taken: false, holder: holder === 'abandoned' ? null : holder }
}

/**
 * Two processes may find the same stale lock; the slower one must not remove the quicker one's new lock. So only
 * who holds the second file may remove, and looks again before. All of it happens without giving way.
 */
function removeStale(path: string, owner: ProcessId): void {
  const guard = `${path}.takeover`
  if (readOwner(guard) === 'abandoned') rmSync(guard, { force: true })
  if (!create(guard, owner)) return
  try {
    const holder = readOwner(path)
    if (holder === 'abandoned' || (holder && !isRunning(holder))) rmSync(path, { force: true })
  } finally {
    rmSync(guard, { force: true })
  }
}

function create(path: string, owner: ProcessId): boolean {
  try {
    const file = openSync(path, 'wx', 0o600)
    writeSync(file, JSON.stringify(owner))
    closeSync(file)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

function readOwner(path: string): ProcessId | null | 'abandoned' {
  try {
    const owner: unknown = JSON.parse(readFileSync(path, 'utf8'))
    if (isProcessId(owner)) return path.endsWith('.takeover') && !isRunning(owner) ? 'abandoned' : owner
    return 'abandoned'
  } catch (error) {
    if (!(error instanceof SyntaxError)) return null
    return ageMs(path) > unreadableForMs ? 'abandoned' : null
  }
}

function ageMs(path: string): number {
  const written = statSync(path, { throwIfNoEntry: false })?.mtimeMs
  return written === undefined ? 0 : Date.now() - written
}

function isProcessId(value: unknown): value is ProcessId {
  return typeof value === 'object' && value !== null && 'pid' in value && 'started' in value
}

function release(path: string, owner: ProcessId): void {
  const holder = readOwner(path)
  if (holder && holder !== 'abandoned' && holder.pid === owner.pid && holder.started === owner.started) {
    rmSync(path, { force: true })
  }
}
