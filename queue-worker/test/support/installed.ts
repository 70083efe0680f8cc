/** The built program in a folder of its own, as an install leaves it, for tests of what runs it there. */
import { cp, mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Env, folder, projectRoot } from './cli.ts'

/** What was built comes last, so that nothing is newer. */
const FILES = [
  'package.json',
  '.env.example',
  'ecosystem.config.js',
  'deploy',
  'scripts',
  'supabase',
  'templates',
  'queue-worker/src',
  'dist',
]

/** `settings` become its .env, `processors` its folder of that name (they import our library as `queue-worker`). */
export async function installed(
  settings: Env,
  processors?: Readonly<Record<string, string>>,
): Promise<string> {
  const cwd = await folder('queue-worker-installed-')
  for (const file of FILES) await cp(join(projectRoot, file), join(cwd, file), { recursive: true })
  await symlink(join(projectRoot, 'node_modules'), join(cwd, 'node_modules'))
  if (processors === undefined) {
    await writeEnv(cwd, settings)
    return cwd
  }
  await mkdir(join(cwd, 'processors'))
  for (const [name, code] of Object.entries(processors)) await writeFile(join(cwd, 'processors', name), code)
  await writeEnv(cwd, { ...settings, PROCESSORS: 'processors' })
  return cwd
}

export async function writeEnv(cwd: string, settings: Env): Promise<void> {
  const lines = Object.entries(settings).map(([name, value]) => `${name}='${value}'\n`)
  await writeFile(join(cwd, '.env'), lines.join(''), { mode: 0o600 })
}
