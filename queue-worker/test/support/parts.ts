/** Stops single parts of a stack and starts them again in their place: same data, same port. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { findPackages } from '../../src/embedded/packages.ts'
import { preparePgmq } from '../../src/embedded/pgmq.ts'
import { readPidFile, startPostgres } from '../../src/embedded/postgres.ts'
import { startPostgrest } from '../../src/embedded/postgrest.ts'
import { commandLine, isRunning, type ProcessId, processId } from '../../src/embedded/processes.ts'
import { preparePrograms } from '../../src/embedded/programs.ts'
import { readState } from '../../src/embedded/state.ts'
import type { Supervised } from '../../src/embedded/supervise.ts'
import { chooseHome } from '../../src/embedded/unprivileged.ts'
import type { TestStack } from './stack.ts'

export type Parts = {
  /** `fast` breaks off transactions and shuts down in order; `immediate` leaves a crash to recover from. */
  stopPostgres(mode: 'fast' | 'immediate'): Promise<void>
  startPostgres(): Promise<void>
  stopPostgrest(): Promise<void>
  startPostgrest(): Promise<void>
  /** Starts again what was stopped here and is still down. */
  restore(): Promise<void>
  /** Stops what was started here; before the stack is disposed of. */
  stop(): Promise<void>
}

const SIGNALS = { fast: 'SIGINT', immediate: 'SIGQUIT' } as const
const MAJOR = 18

export function partsOf(stack: TestStack): Parts {
  const state = readState(join(stack.directory, 'stack.json'))
  const ports = state?.run?.ports
  if (!state || !ports) throw new Error('the stack does not run')
  const { secrets, run } = state
  const packages = findPackages(MAJOR)
  const home = chooseHome(stack.directory, () => {})
  const programs = preparePrograms(packages, home, () => {})
  const started = new Map<'postgres' | 'postgrest', Supervised>()
  const down = new Set<'postgres' | 'postgrest'>()
  const postgrestPort = portInLog(join(stack.directory, 'postgrest.log'))

  async function end(pid: number, signal: NodeJS.Signals): Promise<void> {
    const id = processId(pid)
    if (id === null) throw new Error(`process ${pid} has ended already`)
    process.kill(pid, signal)
    await untilGone(id)
  }

  function postgrestPid(): number {
    const own = started.get('postgrest')
    if (own !== undefined) return own.pid
    const found = run?.children.find(({ pid }) => commandLine(pid).includes('postgrest'))
    if (found === undefined) throw new Error('PostgREST does not run')
    return found.pid
  }

  const parts: Parts = {
    async stopPostgres(mode) {
      down.add('postgres')
      await end(Number(readPidFile(join(home.folder, 'data'))[0]), SIGNALS[mode])
    },
    async startPostgres() {
      const { server, port } = await startPostgres({
        programs,
        home,
        major: MAJOR,
        adminPassword: secrets.adminPassword,
        preferredPort: ports.postgres,
        logFile: join(stack.directory, 'postgres.log'),
        pgmq: preparePgmq(packages.pgmqArchive, home.folder, MAJOR),
      })
      started.set('postgres', server)
      down.delete('postgres')
      if (port !== ports.postgres) throw new Error(`PostgreSQL's port was taken meanwhile`)
    },
    async stopPostgrest() {
      down.add('postgrest')
      await end(postgrestPid(), 'SIGKILL')
    },
    async startPostgrest() {
      const { server, port } = await startPostgrest({
        program: programs.postgrest,
        folder: home.folder,
        runAs: home.runAs,
        postgresPort: ports.postgres,
        secrets,
        logFile: join(stack.directory, 'postgrest.log'),
        preferredPort: postgrestPort,
      })
      started.set('postgrest', server)
      down.delete('postgrest')
      if (port !== postgrestPort) throw new Error(`PostgREST's port was taken meanwhile`)
    },
    async restore() {
      if (down.has('postgres')) await parts.startPostgres()
      if (down.has('postgrest')) await parts.startPostgrest()
    },
    async stop() {
      for (const name of ['postgrest', 'postgres'] as const) await started.get(name)?.stop()
    },
  }
  return parts
}

async function untilGone(id: ProcessId): Promise<void> {
  const giveUp = performance.now() + 60_000
  while (isRunning(id)) {
    if (performance.now() > giveUp) throw new Error(`process ${id.pid} does not end`)
    await sleep(10)
  }
}

function portInLog(path: string): number {
  const port = /Listening on port (\d+)/.exec(readFileSync(path, 'utf8'))?.[1]
  if (port === undefined) throw new Error(`no port in ${path}`)
  return Number(port)
}
