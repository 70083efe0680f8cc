/** The command line as a person uses it: a real process in a folder of its own, with nothing in its environment. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { chmod, mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { lastingPort } from './ports.ts'
import { processesIn } from './processes.ts'
import { until } from './worker.ts'

export const projectRoot = fileURLToPath(new URL('../../..', import.meta.url))
export const entry = fileURLToPath(new URL('../../src/index.ts', import.meta.url))

export type Env = Readonly<Record<string, string | undefined>>
export type CliOptions = {
  readonly cwd: string
  readonly env?: Env
  /** What to run instead of this Node with our entry. */
  readonly command?: readonly [string, ...string[]]
}

export type Cli = {
  readonly pid: number
  readonly out: () => string
  readonly err: () => string
  /** Both streams as they came. */
  readonly text: () => string
  readonly running: () => boolean
  /** Resolves when the process has ended and its streams are closed. Its exit code, or the signal that ended it. */
  readonly ended: Promise<number | string>
  /** Waits until the output matches. Fails at once when the process ends without. */
  says(pattern: RegExp, limitMs?: number): Promise<void>
  signal(name: 'SIGINT' | 'SIGTERM' | 'SIGKILL'): void
  /** Ctrl-C at a terminal: everything that the command started in its group hears it too. */
  interrupt(): void
}

/** What is still running, to be ended after a test whatever happened. */
const started = new Set<Cli>()

export async function endAll(): Promise<void> {
  for (const cli of started) process.kill(-cli.pid, 'SIGKILL')
  await Promise.all([...started].map((cli) => cli.ended))
}

/** Starts a command and does not wait for it. */
export function start(args: readonly string[], options: CliOptions): Cli {
  const [program, ...first] = options.command ?? [process.execPath, entry]
  const child = spawn(program, [...first, ...args], {
    cwd: options.cwd,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH, HOME: process.env.HOME, NO_COLOR: '1', ...options.env },
  })
  let out = ''
  let err = ''
  let text = ''
  let running = true
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    out += chunk
    text += chunk
  })
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    err += chunk
    text += chunk
  })
  const ended = once(child, 'close').then(([code, signal]): number | string => {
    running = false
    started.delete(cli)
    return code ?? signal
  })
  const cli: Cli = {
    pid: child.pid ?? 0,
    out: () => out,
    err: () => err,
    text: () => text,
    running: () => running,
    ended,
    async says(pattern, limitMs = 60_000) {
      await until(
        `${args.join(' ')} says ${pattern}`,
        () => {
          if (pattern.test(text)) return true
          if (!running) throw new Error(`${args.join(' ')} ended without saying ${pattern}:\n${text}`)
          return false
        },
        limitMs,
      ).catch((error) => {
        throw new Error(`${error.message}; it said:\n${text}`)
      })
    },
    signal: (name) => void child.kill(name),
    interrupt: () => void process.kill(-cli.pid, 'SIGINT'),
  }
  started.add(cli)
  return cli
}

/** Runs a command to its end. */
export async function run(args: readonly string[], options: CliOptions) {
  const cli = start(args, options)
  const code = await cli.ended
  return { code, out: cli.out(), err: cli.err(), text: cli.text() }
}

/** A fresh folder that every user may enter. */
export async function folder(name = 'queue-worker-cli-'): Promise<string> {
  const path = await realpath(await mkdtemp(join(tmpdir(), name)))
  await chmod(path, 0o755)
  return path
}

/** Removes it once nothing runs in it any more; what still does is told. */
export async function removeFolder(path: string): Promise<void> {
  await until(`nothing runs in ${path}`, () => processesIn(path).length === 0)
  await rm(path, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 })
}

/** A port that was free a moment ago, and that no client's connection gets meanwhile. */
export const freePort = lastingPort

/** A folder `processors` with these modules; they can import zod, and our library as `#library`. */
export function writeProcessors(cwd: string, modules: Readonly<Record<string, string>>): string {
  const path = join(cwd, 'processors')
  mkdirSync(path, { recursive: true })
  symlinkSync(join(projectRoot, 'node_modules'), join(cwd, 'node_modules'))
  const library = new URL('../../src/library.ts', import.meta.url).href
  for (const [name, code] of Object.entries(modules)) {
    writeFileSync(join(path, name), code.replaceAll('#library', library))
  }
  return path
}

/** The log lines among the output. */
export function logLines(text: string): Record<string, unknown>[] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line))
}
