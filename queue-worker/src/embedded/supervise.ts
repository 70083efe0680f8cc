/**
 * Runs a program as a child that cannot outlive this process: a small watcher beside it holds the other end of
 * a pipe, and when the pipe breaks (we ended, by SIGKILL too) it stops the program. The program gets a session
 * of its own, so that Ctrl-C in a terminal reaches only us, who then stop it in the right order.
 */
import { spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync, statSync, truncateSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { coerceError, SetupError } from '../errors.ts'
import type { RunAs } from './unprivileged.ts'

export type Program = {
  readonly command: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
  /** Gets its output; cut when it is above 10 MB at the start. */
  readonly logFile: string
  readonly runAs: RunAs | null
  /** Asks it to end, and, 10 seconds later, makes it. */
  readonly stopSignal: 'SIGINT' | 'SIGTERM'
  readonly lastSignal: 'SIGQUIT' | 'SIGKILL'
}

/** How a program ended: with exit code 0 or not, and the reason in words. */
export type Ending = { readonly ok: boolean; readonly reason: string }

export type Supervised = {
  readonly pid: number
  readonly ended: Promise<Ending>
  hasEnded(): boolean
  stop(): Promise<void>
}

// $$ stays the pid of the program that replaces this shell. The watcher is started from a subshell that ends at
// once, so that it is nobody's child: PostgreSQL takes the death of a child it does not know for a crash.
const script = `
stop=$1 last=$2; shift 2
exec 4<&0
( (
  exec </dev/null >/dev/null 2>&1
  read -r nothing <&4
  kill -s "$stop" $$
  tenths=0
  while kill -0 $$ && [ $tenths -lt 100 ]; do sleep 0.1; tenths=$((tenths+1)); done
  kill -s "$last" $$
) & )
exec "$@" </dev/null 4<&-`

const patienceMs = 10_000
const largestLogBytes = 10_000_000

/** Starts the program. Throws when it cannot be started at all. */
export async function supervise(program: Program): Promise<Supervised> {
  if ((statSync(program.logFile, { throwIfNoEntry: false })?.size ?? 0) > largestLogBytes) {
    truncateSync(program.logFile)
  }
  const log = openSync(program.logFile, 'a', 0o600)
  const signals = [program.stopSignal.slice(3), program.lastSignal.slice(3)]
  const child = spawn('/bin/sh', ['-c', script, 'sh', ...signals, program.command, ...program.args], {
    stdio: ['pipe', log, log],
    env: { PATH: '/usr/local/bin:/usr/bin:/bin', ...program.env },
    cwd: program.cwd,
    detached: true,
    ...program.runAs,
  })
  closeSync(log)
  let over = false
  const ended = new Promise<Ending>((resolve) => {
    child.once('exit', (code, signal) =>
      resolve({ ok: code === 0, reason: signal ? `ended by ${signal}` : `exit code ${code}` }),
    )
    child.once('error', (error) => resolve({ ok: false, reason: coerceError(error).message }))
  }).then((ending) => {
    over = true
    child.stdin?.destroy()
    return ending
  })
  child.stdin?.on('error', () => {})
  if (child.pid === undefined)
    throw new Error(`${program.command} cannot be started: ${(await ended).reason}`)

  const stop = async () => {
    for (const signal of [program.stopSignal, program.lastSignal, 'SIGKILL'] as const) {
      if (over) break
      child.kill(signal)
      const patience = new AbortController()
      await Promise.race([ended, sleep(patienceMs, null, { signal: patience.signal }).catch(() => null)])
      patience.abort()
    }
    await ended
  }
  return { pid: child.pid, ended, hasEnded: () => over, stop }
}

/** The error for a program that ended instead of doing its work, with the last it said. */
export async function failedProgram(what: string, program: Supervised, logFile: string): Promise<SetupError> {
  const { reason } = await program.ended
  const lastWords = readFileSync(logFile, 'utf8').trim().split('\n').slice(-3).join(' | ')
  return new SetupError(`${what}: ${reason}; ${lastWords}`, `More is in its log: ${logFile}`)
}
