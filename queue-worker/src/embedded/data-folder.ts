/** PostgreSQL's data folder: made once, whole or not at all. */
import {
  chownSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { SetupError } from '../errors.ts'
import type { PostgresOptions } from './postgres.ts'
import { failedProgram, type Supervised, supervise } from './supervise.ts'

const unfinishedName = 'data.new-'

/**
 * Makes the data folder unless it is there. Throws SetupError when another major version made it. `onStart` is
 * told the program that does it, so that it can be ended should this process be killed meanwhile.
 */
export async function createData(
  options: PostgresOptions,
  onStart: (child: Supervised) => void,
): Promise<void> {
  const { folder } = options.home
  const data = join(folder, 'data')
  if (existsSync(join(data, 'PG_VERSION'))) {
    requireMajor(data, options.major)
    return
  }
  // Under a name of its own first: what a crash leaves behind is neither taken for a whole one nor written to.
  for (const name of readdirSync(folder)) {
    if (name.startsWith(unfinishedName))
      rmSync(join(folder, name), { recursive: true, force: true, maxRetries: 5 })
  }
  const unfinished = mkdtempSync(join(folder, unfinishedName))
  const passwordFile = join(folder, 'initdb-password')
  rmSync(passwordFile, { force: true })
  writeFileSync(passwordFile, options.adminPassword, { mode: 0o600 })
  const { runAs } = options.home
  if (runAs) for (const path of [unfinished, passwordFile]) chownSync(path, runAs.uid, runAs.gid)
  try {
    const child = await supervise({
      command: options.programs.initdb,
      args: initdbArguments(unfinished, passwordFile),
      env: { LC_ALL: 'C', TZ: 'UTC' },
      cwd: folder,
      logFile: options.logFile,
      runAs,
      stopSignal: 'SIGINT',
      lastSignal: 'SIGKILL',
    })
    onStart(child)
    const { ok } = await child.ended
    if (!ok) throw await failedProgram(`no PostgreSQL data can be made in ${folder}`, child, options.logFile)
  } finally {
    rmSync(passwordFile, { force: true })
  }
  renameSync(unfinished, data)
}

function requireMajor(data: string, major: number): void {
  const made = readFileSync(join(data, 'PG_VERSION'), 'utf8').trim()
  if (made === String(major)) return
  throw new SetupError(
    `the data in ${data} are PostgreSQL ${made}'s, and the embedded one is ${major}`,
    'Remove that folder (its messages are lost with it), or use the earlier version of this program.',
  )
}

/** Locale: the same on every system and, with UTF-8, close to what Supabase has. */
function initdbArguments(data: string, passwordFile: string): string[] {
  const login = ['-U', 'supabase_admin', `--pwfile=${passwordFile}`, '--auth=scram-sha-256']
  const locale = ['--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--encoding=UTF8']
  return ['-D', data, ...login, ...locale, '--no-instructions']
}
