/** Starting programs of ours as other processes, and looking at what runs (Linux only: it reads /proc). */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { expect, vi } from 'vitest'
import type { Stack } from '../../src/embedded/stack.ts'

export type StackProcess = {
  readonly pid: number
  readonly stack: Omit<Stack, 'stop'> & { readonly lines: readonly string[] }
  /** Resolves when the process is gone. */
  kill(): Promise<void>
}

export type RunAs = { readonly uid?: number; readonly gid?: number }

/** Runs a stack in a process of its own; rejects with what went wrong when it does not start. */
export async function stackProcess(directory: string, runAs: RunAs = {}): Promise<StackProcess> {
  const program = fileURLToPath(new URL('stack-process.ts', import.meta.url))
  const child = spawn(process.execPath, [program, directory], {
    stdio: ['ignore', 'pipe', 'inherit'],
    cwd: '/',
    ...runAs,
  })
  const answer: unknown = JSON.parse(await firstLine(child))
  if ((answer as { error?: string }).error) throw new Error((answer as { error: string }).error)
  const gone = once(child, 'exit')
  return {
    pid: child.pid ?? 0,
    stack: answer as StackProcess['stack'],
    async kill() {
      child.kill('SIGKILL')
      await gone
    },
  }
}

async function firstLine(child: ChildProcess): Promise<string> {
  if (!child.stdout) throw new Error('the process has no output')
  for await (const line of createInterface({ input: child.stdout })) return line
  throw new Error('the process ended without saying anything')
}

export type Running = { readonly pid: number; readonly parent: number; readonly command: string }

/** The processes whose working folder is this one or below it: everything a stack there consists of. */
export function processesIn(directory: string): Running[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const folder = readlinkSync(`/proc/${name}/cwd`)
        if (folder !== directory && !folder.startsWith(`${directory}/`)) return []
        const command = readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ')
        const parent = Number(readFileSync(`/proc/${name}/stat`, 'utf8').split(') ')[1]?.split(' ')[1])
        return [{ pid: Number(name), parent, command }]
      } catch {
        return []
      }
    })
}

/** What has ended may be there for a moment more, until that is noticed. */
export const nothingRunsIn = (directory: string) =>
  vi.waitFor(() => expect(processesIn(directory)).toEqual([]), 30_000)
