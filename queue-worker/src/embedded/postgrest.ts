/** PostgREST, the REST half of a Supabase project: started, and waited for until it has read the schema. */
import { request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Secrets } from './keys.ts'
import { freePort, loopback } from './ports.ts'
import { failedProgram, type Supervised, supervise } from './supervise.ts'
import type { RunAs } from './unprivileged.ts'

export type PostgrestOptions = {
  readonly program: string
  readonly folder: string
  readonly runAs: RunAs | null
  readonly postgresPort: number
  readonly secrets: Secrets
  readonly logFile: string
  /** Used if it is free; any port if not given. */
  readonly preferredPort?: number
}

const startLimitMs = 60_000
const triesToStart = 5

export async function startPostgrest(
  options: PostgrestOptions,
): Promise<{ server: Supervised; port: number }> {
  const { secrets } = options
  for (let tries = 1; ; tries++) {
    const port = await freePort(options.preferredPort ?? 0)
    const server = await supervise({
      command: options.program,
      args: [],
      env: {
        PGRST_DB_URI: `postgres://authenticator:${secrets.authenticatorPassword}@${loopback}:${options.postgresPort}/postgres`,
        PGRST_DB_SCHEMAS: 'public',
        PGRST_DB_EXTRA_SEARCH_PATH: 'public, extensions',
        PGRST_DB_ANON_ROLE: 'anon',
        PGRST_DB_MAX_ROWS: '1000',
        PGRST_DB_POOL: '10',
        PGRST_JWT_SECRET: secrets.jwtSecret,
        PGRST_SERVER_HOST: loopback,
        PGRST_SERVER_PORT: String(port),
        PGRST_LOG_LEVEL: 'error',
      },
      cwd: options.folder,
      logFile: options.logFile,
      runAs: options.runAs,
      stopSignal: 'SIGTERM',
      lastSignal: 'SIGKILL',
    })
    if (await becomesReady(server, port, secrets.serviceRoleKey)) return { server, port }
    await server.stop()
    // Between our look at the port and its use another process may have taken it.
    if (tries === triesToStart) throw await failedProgram('PostgREST does not start', server, options.logFile)
  }
}

/** 503 until the schema is read. With our own key: another PostgREST on that port would refuse it. */
async function becomesReady(server: Supervised, port: number, key: string): Promise<boolean> {
  const giveUp = performance.now() + startLimitMs
  while (!server.hasEnded() && performance.now() < giveUp) {
    if ((await statusOf(port, key)) === 200) return true
    await sleep(10)
  }
  return false
}

function statusOf(port: number, key: string): Promise<number | null> {
  return new Promise((resolve) => {
    const probe = request(
      {
        host: loopback,
        port,
        method: 'HEAD',
        path: '/',
        headers: { authorization: `Bearer ${key}` },
        agent: false,
      },
      (answer) => {
        answer.resume()
        resolve(answer.statusCode ?? null)
      },
    )
    probe.setTimeout(5_000, () => probe.destroy())
    probe.on('error', () => resolve(null))
    probe.end()
  })
}
