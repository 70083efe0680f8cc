/**
 * For pm2: `pm2 start ecosystem.config.js` (docs/deployment/pm2.md). The settings come from .env beside this file.
 *
 * This package is of type module, so this file is one, and a named export is what pm2 finds when it requires it: that
 * takes Node.js 20.19, 22.12 or newer below pm2 itself. pm2 knows a configuration by the ending `.config.js`.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseEnv } from 'node:util'

const folder = import.meta.dirname
/** The Node of this folder, whatever version pm2 was installed with; without development packages there is none. */
const pinned = join(folder, 'node_modules/.bin/node')

/** Here it is built; where the package was installed, it lies there. */
const program = ['dist/index.js', 'node_modules/queue-worker/dist/index.js']

/** The worker's; more of them take the next ones, the scheduler the one before. */
const envFile = join(folder, '.env')
const given = { ...(existsSync(envFile) ? parseEnv(readFileSync(envFile, 'utf8')) : {}), ...process.env }
const port = Number(given.PORT || 8080) // NaN for off

const shared = {
  script: program.find((path) => existsSync(join(folder, path))) ?? program[0],
  cwd: folder,
  interpreter: existsSync(pinned) ? pinned : process.execPath,
  exec_mode: 'fork',
  // Nothing of pm2 within the process, and each instance of an app logs into the same files.
  pmx: false,
  merge_logs: true,
  // It is online once it has reached the database, and says so; pm2 waits for that no longer than this.
  wait_ready: true,
  listen_timeout: 30_000,
  // After WORKER_DRAIN_TIMEOUT_MS (25 s) a stop needs some seconds more to record how everything ended.
  kill_timeout: 60_000,
  // A message that runs in a process of its own is ended by the worker, not by pm2.
  treekill: false,
  // 100 ms at first, half as much again each time, 15 s at most; again from the start after 30 s without a crash.
  exp_backoff_restart_delay: 100,
  max_memory_restart: '600M',
}

export const apps = [
  {
    ...shared,
    name: 'queue-worker',
    args: 'worker',
    out_file: 'logs/out.log',
    error_file: 'logs/error.log',
    env: { NODE_ENV: 'production', PORT: port ? `${port}` : 'off' },
    ...(port ? { increment_var: 'PORT' } : {}),
  },
  {
    ...shared,
    name: 'queue-scheduler',
    args: 'scheduler',
    out_file: 'logs/scheduler-out.log',
    error_file: 'logs/scheduler-error.log',
    env: { NODE_ENV: 'production', PORT: port ? `${port - 1}` : 'off' },
  },
]
