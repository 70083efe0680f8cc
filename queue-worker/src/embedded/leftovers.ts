/** Ends what an earlier run left running, when its owner was killed and its watchers too. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { SetupError } from '../errors.ts'
import { readPidFile } from './postgres.ts'
import { commandLine, isRunning, type ProcessId, processId, signal } from './processes.ts'
import type { Run } from './state.ts'

/** How long a process gets for each signal, in the order they are sent. */
const patience = [
  ['SIGINT', 10_000],
  ['SIGQUIT', 10_000],
  ['SIGKILL', 10_000],
] as const

/** Touches only processes that are surely ours: by pid and start time, or a PostgreSQL on our data folder. */
export async function endLeftovers(run: Run | null, dataFolder: string): Promise<void> {
  const found = [...(run?.children ?? []).filter(isRunning)]
  const server = postmasterOf(dataFolder)
  if (server && !found.some(({ pid }) => pid === server.pid)) found.push(server)
  await Promise.all(found.map(end))
  // A pid that now belongs to another program would keep PostgreSQL from starting.
  rmSync(join(dataFolder, 'postmaster.pid'), { force: true })
}

function postmasterOf(dataFolder: string): ProcessId | null {
  const id = processId(Number(readPidFile(dataFolder)[0]))
  return id && commandLine(id.pid).includes(`-D ${dataFolder} `) ? id : null
}

async function end(id: ProcessId): Promise<void> {
  for (const [name, limitMs] of patience) {
    if (!isRunning(id)) return
    signal(id.pid, name)
    const giveUp = performance.now() + limitMs
    while (isRunning(id) && performance.now() < giveUp) await sleep(20)
  }
  if (isRunning(id)) {
    throw new SetupError(`process ${id.pid} of an earlier stack does not end`, `End it: kill -9 ${id.pid}`)
  }
}
