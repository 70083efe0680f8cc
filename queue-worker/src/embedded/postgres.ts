/** The PostgreSQL server: starts it and waits until it takes connections. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { PgmqSource } from './pgmq.ts'
import { freePort, loopback } from './ports.ts'
import type { Programs } from './programs.ts'
import { failedProgram, type Supervised, supervise } from './supervise.ts'
import type { Home } from './unprivileged.ts'

export type PostgresOptions = {
  readonly programs: Programs
  readonly home: Home
  readonly major: number
  readonly adminPassword: string
  readonly preferredPort: number
  readonly logFile: string
  readonly pgmq: PgmqSource
}

const startLimitMs = 60_000
const triesToStart = 5

/** Starts the server on the preferred port, or another when that is taken. It listens on this machine only. */
export async function startPostgres(options: PostgresOptions): Promise<{ server: Supervised; port: number }> {
  for (let tries = 1; ; tries++) {
    const port = await freePort(options.preferredPort)
    const server = await supervise({
      command: options.programs.postgres,
      args: serverArguments(options, port),
      env: { LC_ALL: 'C', TZ: 'UTC' },
      cwd: options.home.folder,
      logFile: options.logFile,
      runAs: options.home.runAs,
      stopSignal: 'SIGINT',
      lastSignal: 'SIGQUIT',
    })
    if (await becomesReady(server, options.home)) return { server, port }
    await server.stop()
    // The port may have been taken since we looked, or what a killed server left may take a moment to go.
    if (tries === triesToStart)
      throw await failedProgram('PostgreSQL does not start', server, options.logFile)
    await sleep(200 * tries)
  }
}

function serverArguments({ home, pgmq }: PostgresOptions, port: number): string[] {
  const settings: Record<string, string> = {
    listen_addresses: loopback,
    port: String(port),
    unix_socket_directories: '',
    max_connections: '100',
    fsync: 'on',
    synchronous_commit: 'on',
    log_checkpoints: 'off',
    // Statements hold payloads, which do not belong in a log.
    log_min_error_statement: 'panic',
    ...(pgmq.kind === 'extension' ? { extension_control_path: pgmq.controlPath } : {}),
  }
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  return ['-D', join(home.folder, 'data'), ...flags]
}

/** The server tells in the file it keeps its pid in; asking there is quicker than trying to connect. */
async function becomesReady(server: Supervised, home: Home): Promise<boolean> {
  const giveUp = performance.now() + startLimitMs
  while (!server.hasEnded() && performance.now() < giveUp) {
    const lines = readPidFile(join(home.folder, 'data'))
    if (lines[0] === String(server.pid) && lines[7]?.trim() === 'ready') return true
    await sleep(10)
  }
  return false
}

/** The lines of postmaster.pid: pid, data folder, start time, port, … , status. Empty when there is none. */
export function readPidFile(data: string): string[] {
  try {
    return readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n')
  } catch {
    return []
  }
}
