/** The files beside a worker: `.env` and who can read it, and those of DEPLOYMENT_FILES. */
import { execFile } from 'node:child_process'
import { chmod, constants, copyFile, cp, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { given } from '../../config/gather.ts'
import { defineCheck, type MendableFinding } from '../finding.ts'
import type { Place } from '../parts.ts'
import { SOURCES } from './build.ts'

type DeploymentFile = {
  readonly path: string
  readonly purpose: string
  /** It builds the program, so it belongs where the sources are and nowhere else. */
  readonly ofSources?: true
}

/** Files and folders of this package that belong beside a worker; a new one is a line here. */
const DEPLOYMENT_FILES: readonly DeploymentFile[] = [
  { path: '.env.example', purpose: 'explains every setting' },
  { path: 'templates', purpose: 'holds the templates of e-mails (EMAIL_TEMPLATES_DIR)' },
  { path: 'ecosystem.config.js', purpose: 'starts the worker and the scheduler under pm2' },
  { path: 'Dockerfile', purpose: 'makes the image, also on Railway', ofSources: true },
  {
    path: '.dockerignore',
    purpose: 'keeps settings and what is not needed out of the image',
    ofSources: true,
  },
  { path: 'docker-compose.yml', purpose: 'runs the worker and the scheduler in containers', ofSources: true },
  { path: 'railway.json', purpose: 'configures Railway', ofSources: true },
  { path: 'deploy', purpose: 'holds the units of systemd and the files for Kubernetes', ofSources: true },
]

/** With one of these in the environment, it is meant to come from there. */
const LEADS = ['SUPABASE_URL', 'DATABASE_URL', 'PGHOST', 'DB_HOST', 'QUEUE_TRANSPORT']

export const deploymentFiles = defineCheck({
  name: 'deployment-files',
  group: 'Files',
  catalog: {
    env_file_ok: { severity: 'ok', why: '' },
    env_file_not_needed: { severity: 'ok', why: '' },
    env_file_missing: { severity: 'warning', why: 'Without settings a worker knows no database.' },
    env_file_readable: {
      severity: 'warning',
      why: 'It holds keys and passwords, and every user of this machine can read them.',
    },
    env_file_in_git: {
      severity: 'error',
      why: 'Whoever can read the repository, now or later, has the keys and passwords in it.',
    },
    env_file_not_ignored: {
      severity: 'warning',
      why: 'The next "git add ." puts its keys and passwords into the repository.',
    },
    file_missing: { severity: 'note', why: 'It comes with this package; some set-ups want it.' },
  },
  async run({ cwd, environment }: Place, tell) {
    const path = join(cwd, '.env')
    const mode = await modeOf(path)
    const found: MendableFinding[] = []
    if (mode === null) {
      if (LEADS.some((name) => given(environment, name) !== undefined))
        found.push(tell('env_file_not_needed', 'there is no .env; the settings come from the environment'))
      else if ((await modeOf(join(cwd, '.queue-worker'))) !== null)
        found.push(
          tell('env_file_not_needed', 'there is no .env; the embedded stack of this folder needs none'),
        )
      else {
        const how = 'Copy .env.example to .env and fill in what you need, or set it in the environment.'
        found.push(tell('env_file_missing', 'there is no .env', how, () => createEnvFile(path)))
      }
    } else {
      if ((mode & 0o007) !== 0) {
        const how = `Take the right away: chmod o= ${path}`
        const mend = () => closeFile(path, mode)
        found.push(tell('env_file_readable', '.env can be read by every user of this machine', how, mend))
      }
      if (await git(cwd, 'ls-files', '--error-unmatch', '.env')) {
        const how = 'Take it out (git rm --cached .env), and replace every key and password that is in it.'
        found.push(tell('env_file_in_git', '.env is in the git repository', how))
      } else if (await isUnignored(cwd)) {
        found.push(
          tell('env_file_not_ignored', '.env is not in .gitignore', 'Add a line .env to .gitignore.'),
        )
      }
      if (found.length === 0) found.push(tell('env_file_ok', '.env is there, for its user alone'))
    }
    const hasSources = (await modeOf(join(cwd, SOURCES))) !== null
    for (const { path: file, purpose, ofSources } of DEPLOYMENT_FILES) {
      if ((ofSources && !hasSources) || (await modeOf(join(cwd, file))) !== null) continue
      const what = `${file} is missing: it ${purpose}`
      if (hasSources) found.push(tell('file_missing', what, `Bring it back: git checkout -- ${file}`))
      else {
        const how = `If you want it, copy it from ${packageRoot}.`
        found.push(tell('file_missing', what, how, () => restore(cwd, file)))
      }
    }
    return found
  },
})

const packageRoot = fileURLToPath(
  new URL(import.meta.url.includes('/dist/') ? '../../../' : '../../../../', import.meta.url),
)

async function modeOf(path: string): Promise<number | null> {
  return stat(path).then(
    ({ mode }) => mode,
    () => null,
  )
}

async function createEnvFile(path: string): Promise<string> {
  await copyFile(join(packageRoot, '.env.example'), path, constants.COPYFILE_EXCL)
  await chmod(path, 0o600)
  return 'created .env from .env.example, for your user alone; now fill it in'
}

async function closeFile(path: string, mode: number): Promise<string> {
  await chmod(path, mode & 0o770)
  return 'took the rights on .env away from all other users'
}

/** Never over what is there. */
async function restore(cwd: string, file: string): Promise<string> {
  await cp(join(packageRoot, file), join(cwd, file), { recursive: true, force: false, errorOnExist: true })
  return `restored ${file}`
}

async function isUnignored(cwd: string): Promise<boolean> {
  const isRepository = await git(cwd, 'rev-parse', '--is-inside-work-tree')
  return isRepository && !(await git(cwd, 'check-ignore', '-q', '.env'))
}

/** Whether git says yes; no git and no repository are a no. */
async function git(cwd: string, ...args: string[]): Promise<boolean> {
  return promisify(execFile)('git', args, { cwd, timeout: 5000 }).then(
    () => true,
    () => false,
  )
}
