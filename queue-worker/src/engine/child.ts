/** A child process that runs one message at a time: how it is started, asked, and ended. See isolated.ts for its side. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { LeaseLostError, StoppingError, TimeLimitError } from '../errors.ts'
import type { ConnectionSettings } from '../queue/contract.ts'
import type { Message } from '../queue/message.ts'
import { sleep } from '../utils/sleep.ts'
import type { Ending } from './execute.ts'
import type { ConsumerSettings } from './settings.ts'

export type Logging = { readonly level: string; readonly secrets: readonly string[] }

/** What the parent tells the child, and the child the parent. Errors lose their class on the way. */
export type ToChild =
  | ({ readonly type: 'start' } & ChildOrders)
  | { readonly type: 'run'; readonly message: Message; readonly settings: ConsumerSettings }
  | { readonly type: 'abort'; readonly name: string; readonly text: string }
export type FromChild =
  | { readonly type: 'ready' }
  | { readonly type: 'failed'; readonly error: Error }
  | ({ readonly type: 'ending' } & Ending)

export type ChildOrders = {
  readonly connection: ConnectionSettings
  readonly workerId: string
  readonly modules: readonly string[]
  /** Queues the modules must have processors for. */
  readonly queues: readonly string[]
  readonly logging: Logging
}

export type Child = {
  /** Sends, and resolves with the answer; the child's death is one too. */
  ask(message: ToChild): Promise<FromChild>
  abort(reason: Error): void
  readonly isAlive: boolean
  kill(): void
  /** Lets it go in peace, for two seconds. */
  close(): Promise<void>
}

const CLOSE_MS = 2000

export function startChild(
  entry: string,
  environment: Readonly<Record<string, string | undefined>> | undefined,
): Child {
  const child = fork(entry, [], {
    ...(environment ? { env: { ...environment } } : {}),
    serialization: 'advanced',
    execArgv: [],
  })
  // Without a listener, what cannot be told to a child that has just died would end this process.
  child.on('error', () => {})
  const isAlive = () => child.connected && child.exitCode === null && child.signalCode === null

  return {
    ask(message) {
      const answer = next(child)
      child.send(message)
      return answer
    },
    abort({ name, message: text }) {
      if (isAlive()) child.send({ type: 'abort', name, text } satisfies ToChild)
    },
    get isAlive() {
      return isAlive()
    },
    kill: () => void child.kill('SIGKILL'),
    async close() {
      if (child.exitCode !== null || child.signalCode !== null) return
      const exited = once(child, 'exit').catch(() => {})
      if (child.connected) child.disconnect()
      const limit = new AbortController()
      await Promise.race([exited, sleep(CLOSE_MS, limit.signal)])
      limit.abort()
      child.kill('SIGKILL')
    },
  }
}

/** The child's next message; its death is an answer too. */
function next(child: ChildProcess): Promise<FromChild> {
  return new Promise((resolve) => {
    const settle = (answer: FromChild) => {
      child.off('message', onMessage)
      child.off('exit', onExit)
      child.off('error', onError)
      resolve(answer)
    }
    const onMessage = (answer: unknown) => settle(answer as FromChild)
    const onExit = (code: number | null, signal: string | null) => {
      const how = signal ?? `exit code ${code}`
      settle({ type: 'failed', error: new Error(`the processor ended its process (${how})`) })
    }
    const onError = (error: Error) => settle({ type: 'failed', error })
    child.on('message', onMessage)
    child.on('exit', onExit)
    child.on('error', onError)
  })
}

/** The reason of an abort as it was before it went to the child. */
export function abortReason({ name, text }: Extract<ToChild, { type: 'abort' }>): Error {
  for (const Known of [LeaseLostError, StoppingError, TimeLimitError]) {
    const error = new Known(text)
    if (error.name === name) return error
  }
  return new Error(text)
}

/** Foreign errors may hold what cannot be sent to another process (functions, sockets). */
export function plainError(error: Error): Error {
  const plain = new Error(error.message)
  plain.name = String(error.name)
  plain.stack = String(error.stack ?? plain.stack)
  return plain
}
