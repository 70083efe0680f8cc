/** PostgreSQL refuses to run as root. Started by root, the programs run as another user, who must reach them. */
import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { accessSync, constants, existsSync, lstatSync, mkdirSync, statSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { SetupError } from '../errors.ts'

/** As whom the programs run; null means as ourselves. */
export type RunAs = { readonly uid: number; readonly gid: number }

/** Where data and copied programs are kept, and as whom the programs run. */
export type Home = { readonly folder: string; readonly runAs: RunAs | null }

/**
 * Usually the stack's own folder. As root it is a folder below /var/tmp when the programs' user cannot enter the
 * stack's folder (one below /root, say). Throws SetupError when there is no user to run as.
 */
export function chooseHome(directory: string, log: (line: string) => void): Home {
  if (process.getuid?.() !== 0) {
    requireName()
    return { folder: directory, runAs: null }
  }
  const owner = statSync(join(directory, 'data'), { throwIfNoEntry: false })
  const runAs = owner && owner.uid !== 0 ? { uid: owner.uid, gid: owner.gid } : userToRunAs()
  const elsewhere = homeElsewhere(directory)
  if (!existsSync(join(elsewhere, 'data')) && canUse(runAs, { run: [directory] })) {
    return { folder: directory, runAs }
  }
  requireOwnFolder(elsewhere)
  log(
    `the data are kept in ${elsewhere}: PostgreSQL cannot run as root, and another user cannot enter ${directory}`,
  )
  return { folder: elsewhere, runAs }
}

/** Whether that user can run (or enter) and read these files. */
export function canUse(
  runAs: RunAs | null,
  files: { run?: readonly string[]; read?: readonly string[] },
): boolean {
  const { run = [], read = [] } = files
  if (!runAs) {
    try {
      for (const path of run) accessSync(path, constants.X_OK | constants.R_OK)
      for (const path of read) accessSync(path, constants.R_OK)
      return true
    } catch {
      return false
    }
  }
  // Asked of the kernel as that user: modes alone do not tell (access lists, mounts).
  const test = 'while [ $# -gt 0 ]; do test "$1" "$2" || exit 1; shift 2; done'
  const words = [...run.flatMap((path) => ['-x', path]), ...read.flatMap((path) => ['-r', path])]
  return spawnSync('/bin/sh', ['-c', test, 'sh', ...words], { ...runAs, cwd: '/' }).status === 0
}

/** The folder under /var/tmp that belongs to this stack's folder, made only by requireOwnFolder. */
function homeElsewhere(directory: string): string {
  const name = createHash('sha256').update(directory).digest('hex').slice(0, 16)
  return join(existsSync('/var/tmp') ? '/var/tmp' : tmpdir(), `queue-worker-${name}`)
}

/** Anyone may make a folder of that name first: it must be root's and writable by nobody else. */
function requireOwnFolder(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o711 })
  const found = lstatSync(folder)
  if (found.isDirectory() && found.uid === 0 && (found.mode & 0o022) === 0) return
  throw new SetupError(
    `the embedded stack will not use ${folder}: it is not a folder that only root can write`,
    'Someone else made it. Remove it, or start the stack as an ordinary user.',
  )
}

function userToRunAs(): RunAs {
  for (const name of ['postgres', 'nobody']) {
    const uid = idOf('-u', name)
    const gid = idOf('-g', name)
    if (uid && gid) return { uid, gid }
  }
  throw new SetupError(
    'PostgreSQL does not run as root, and there is no user "postgres" or "nobody" to run it as',
    'Add such a user, or start the embedded stack as an ordinary user.',
  )
}

function idOf(option: '-u' | '-g', name: string): number | null {
  try {
    return Number(execFileSync('id', [option, name], { encoding: 'utf8', stdio: 'pipe' }))
  } catch {
    return null
  }
}

function requireName(): void {
  try {
    userInfo()
  } catch (error) {
    throw new SetupError(
      `PostgreSQL needs a user with a name, and user id ${process.getuid?.()} has none`,
      'Start the embedded stack as a user that is in /etc/passwd (in a container: a named USER, or root).',
      { cause: error },
    )
  }
}
