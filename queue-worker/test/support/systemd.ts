/** A real systemd with our units, in namespaces of its own; see systemd-lab.sh. */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { type Env, projectRoot, run } from './cli.ts'
import { until } from './worker.ts'

export const UNITS = ['queue-worker', 'queue-scheduler'].map((name) =>
  join(projectRoot, 'deploy/systemd', `${name}.service`),
)

const wanting = ['/lib/systemd/systemd', '/usr/bin/unshare', '/usr/bin/nsenter'].filter(
  (path) => !existsSync(path),
)
export const withoutSystemd =
  process.getuid?.() !== 0
    ? ' (skipped: needs root)'
    : wanting.length > 0
      ? ` (skipped: there is no ${wanting.join(', no ')})`
      : ''

export type Systemd = Awaited<ReturnType<typeof startSystemd>>

/** `cwd` becomes /opt/queue-worker, `env` /etc/queue-worker/env; `tuned` are lines over those of the units. The scheduler's port may be taken here. */
export async function startSystemd(options: {
  readonly cwd: string
  readonly env: Env
  readonly schedulerPort: number
  readonly tuned: string
}) {
  const { cwd, env, schedulerPort, tuned } = options
  mkdirSync(join(cwd, 'node_modules'))
  const units = UNITS.map((unit) => {
    const path = join(cwd, basename(unit))
    writeFileSync(path, readFileSync(unit, 'utf8').replace('PORT=8079', `PORT=${schedulerPort}`))
    return path
  })
  const lines = Object.entries(env).map(([name, value]) => `${name}=${value}\n`)
  writeFileSync(join(cwd, 'environment'), lines.join(''), { mode: 0o600 })
  const dropIn = join(cwd, 'service.d')
  mkdirSync(dropIn)
  writeFileSync(join(dropIn, 'tuned.conf'), `[Service]\n${tuned}\n`)
  const lab = spawn(
    'unshare',
    [
      ...['--mount', '--pid', '--fork', '--kill-child', '--cgroup', '--mount-proc'],
      ...['sh', join(projectRoot, 'queue-worker/test/support/systemd-lab.sh')],
      ...[cwd, join(projectRoot, 'node_modules'), join(cwd, 'environment'), ...units, dropIn],
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  )
  let said = ''
  for (const stream of [lab.stdout, lab.stderr])
    stream.setEncoding('utf8').on('data', (text) => {
      said += text
    })
  const exited = once(lab, 'exit')
  const manager = () =>
    Number(readFileSync(`/proc/${lab.pid}/task/${lab.pid}/children`, 'utf8').trim().split(' ')[0])
  const inside = (command: string, ...args: string[]) =>
    run(['-t', String(manager()), '-m', '-p', command, ...args], { cwd: '/', command: ['nsenter'] })
  await until('systemd runs', async () => {
    if (lab.exitCode !== null) throw new Error(`systemd did not start: ${said}`)
    return (await inside('systemctl', 'is-active', 'lab.target')).out.trim() === 'active'
  })
  return {
    /** Its exit code, and what it says. */
    systemctl: (...args: string[]) => inside('systemctl', ...args),
    async property(unit: string, name: string): Promise<string> {
      return (await inside('systemctl', 'show', unit, '--value', '-p', name)).out.trim()
    },
    run: inside,
    /** A shell within, where processes have the numbers that systemd knows. */
    shell: async (command: string) => (await inside('sh', '-c', command)).out,
    async stop(): Promise<void> {
      lab.kill('SIGKILL')
      await exited
    },
  }
}

export function analyze(...args: string[]): string {
  return execFileSync('systemd-analyze', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}
