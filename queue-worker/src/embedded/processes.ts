/** Which process a pid stands for. Pids are given again; a pid together with its start time is not. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

export type ProcessId = { readonly pid: number; readonly started: string }

/** The process that runs under this pid now, or null when there is none (a zombie counts as none). */
export function processId(pid: number): ProcessId | null {
  if (!Number.isInteger(pid) || pid <= 0) return null
  const started = process.platform === 'linux' ? startedOnLinux(pid) : startedByPs(pid)
  return started === null ? null : { pid, started }
}

/** Whether exactly this process still runs. */
export function isRunning(id: ProcessId): boolean {
  return processId(id.pid)?.started === id.started
}

/** The words a running process was started with, joined by spaces; empty when it cannot be told. */
export function commandLine(pid: number): string {
  try {
    if (process.platform !== 'linux') return ps(pid, 'command=')
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
  } catch {
    return ''
  }
}

/** Sends a signal; a process that is gone already is no error. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

function startedOnLinux(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name in parentheses may hold spaces; what follows its end is the state and 19 fields later the start.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    if (fields[0] === 'Z' || fields[0] === 'X') return null
    // The start counts from boot: without the boot's id a pid could match its namesake of before a restart.
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()}/${fields[19]}`
  } catch {
    return null
  }
}

function startedByPs(pid: number): string | null {
  try {
    const line = ps(pid, 'state=,lstart=')
    return line === '' || line.startsWith('Z') ? null : line.replace(/^\S+\s+/, '')
  } catch {
    return null
  }
}

function ps(pid: number, columns: string): string {
  return execFileSync('ps', ['-o', columns, '-p', String(pid)], { encoding: 'utf8', stdio: 'pipe' }).trim()
}
