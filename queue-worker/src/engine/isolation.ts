/**
 * Runs suspects alone, one after the other, in a child process that does nothing else: when the child dies, it is
 * known which message did it, and nobody else was harmed. The child is kept while it lives.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { coerceError, LeaseLostError, TimeLimitError } from '../errors.ts'
import type { ConnectionSettings, Queue } from '../queue/contract.ts'
import type { Message } from '../queue/message.ts'
import type { Emit } from './events.ts'
import type { Ending } from './execute.ts'
import type { Lease } from './leases.ts'
import { failureOutcome } from './outcomes.ts'
import { persist } from './persist.ts'
import { ABORT_GRACE_MS, type ConsumerSettings } from './settings.ts'

export type Logging = { readonly level: string; readonly secrets: readonly string[] }

/** What the parent tells the child, and the child the parent. */
export type ToChild =
  | {
      readonly type: 'start'
      readonly connection: ConnectionSettings
      readonly workerId: string
      readonly modules: readonly string[]
      readonly queues: readonly string[]
      readonly logging: Logging
    }
  | { readonly type: 'run'; readonly message: Message; readonly settings: ConsumerSettings }
  | { readonly type: 'abort'; readonly error: Error }
export type FromChild =
  | { readonly type: 'ready' }
  | { readonly type: 'failed'; readonly error: Error }
  | ({ readonly type: 'ending' } & Ending)

export type Isolation = {
  /** Waits for its turn, marks the message as running alone, runs it. Never rejects. */
  run(lease: Lease, settings: ConsumerSettings): Promise<Ending>
  close(): Promise<void>
}

export type IsolationParts = {
  /** The module the child runs: see isolated.ts. */
  readonly entry: string
  /** Modules whose default export gives the processors. */
  readonly modules: readonly string[]
  readonly connection: ConnectionSettings
  /** Undefined: this process's own. */
  readonly environment: Readonly<Record<string, string | undefined>> | undefined
  /** Queues the modules must have processors for. */
  readonly queues: readonly string[]
  readonly logging: Logging
  readonly queue: Pick<Queue, 'isolate'>
  readonly workerId: string
  readonly emit: Emit
  readonly now: () => number
}

/** A child that cannot be started is not the message's fault: it waits this long and is not charged. */
const UNAVAILABLE_DELAY_MS = 30_000

export function createIsolation(parts: IsolationParts): Isolation {
  let child: ChildProcess | null = null
  let turn: Promise<unknown> = Promise.resolve()

  async function ready(): Promise<ChildProcess> {
    if (child !== null) return child
    const started = fork(parts.entry, [], {
      ...(parts.environment ? { env: { ...parts.environment } } : {}),
      serialization: 'advanced',
      execArgv: [],
    })
    const start: ToChild = {
      type: 'start',
      connection: parts.connection,
      workerId: parts.workerId,
      modules: parts.modules,
      queues: parts.queues,
      logging: parts.logging,
    }
    started.send(start)
    const answer = await next(started)
    if (answer.type !== 'ready') {
      started.kill('SIGKILL')
      throw answer.type === 'failed' ? answer.error : new Error('the child for suspects could not be started')
    }
    child = started
    started.once('exit', () => {
      child = null
    })
    return started
  }

  async function runNow(lease: Lease, settings: ConsumerSettings): Promise<Ending> {
    const { message, controller } = lease
    const startedMs = parts.now()
    if (controller.signal.aborted) return aborted(controller.signal, message, settings, 0)
    let runner: ChildProcess
    try {
      runner = await ready()
    } catch (thrown) {
      const error = coerceError(thrown)
      parts.emit('isolationFailed', { error })
      return { outcome: { kind: 'snooze', delayMs: UNAVAILABLE_DELAY_MS }, ranMs: 0, error }
    }
    const extension = { receipt: message, visibilityTimeoutSeconds: lease.visibilityTimeoutSeconds }
    const isHeld = await persist(
      () => parts.queue.isolate(extension, parts.workerId),
      controller.signal,
    ).catch(() => false)
    if (!isHeld)
      return controller.signal.aborted
        ? aborted(controller.signal, message, settings, 0)
        : { outcome: null, ranMs: 0 }
    runner.send({ type: 'run', message, settings } satisfies ToChild)
    return supervise(runner, lease, settings, startedMs)
  }

  async function supervise(
    runner: ChildProcess,
    lease: Lease,
    settings: ConsumerSettings,
    startedMs: number,
  ): Promise<Ending> {
    const { message, controller } = lease
    const limit = setTimeout(() => {
      controller.abort(new TimeLimitError(`ran longer than its time limit of ${settings.timeoutMs} ms`))
    }, settings.timeoutMs)
    let kill: NodeJS.Timeout | undefined
    const onAbort = () => {
      if (runner.connected)
        runner.send({ type: 'abort', error: coerceError(controller.signal.reason) } satisfies ToChild)
      kill = setTimeout(() => runner.kill('SIGKILL'), ABORT_GRACE_MS)
    }
    controller.signal.addEventListener('abort', onAbort, { once: true })
    try {
      const answer = await next(runner)
      // What was aborted ends for the reason of its abort, whatever the child made of it.
      if (answer.type === 'ending' && !(controller.signal.aborted && answer.error)) return answer
      const ranMs = parts.now() - startedMs
      if (controller.signal.aborted) return aborted(controller.signal, message, settings, ranMs)
      const error =
        answer.type === 'failed' ? answer.error : new Error('the child for suspects broke its protocol')
      return { outcome: failureOutcome(error, message, settings), ranMs, error }
    } finally {
      clearTimeout(limit)
      clearTimeout(kill)
      controller.signal.removeEventListener('abort', onAbort)
    }
  }

  return {
    run(lease, settings) {
      const result = turn.then(() => runNow(lease, settings))
      turn = result
      return result
    },
    async close() {
      const last = child
      if (last === null) return
      last.disconnect()
      await Promise.race([once(last, 'exit'), new Promise((resolve) => setTimeout(resolve, 2000))])
      last.kill('SIGKILL')
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
    const onExit = (code: number | null, signal: string | null) =>
      settle({
        type: 'failed',
        error: new Error(`the processor ended its process (${signal ?? `exit code ${code}`})`),
      })
    const onError = (error: Error) => settle({ type: 'failed', error })
    child.on('message', onMessage)
    child.on('exit', onExit)
    child.on('error', onError)
  })
}

function aborted(signal: AbortSignal, message: Message, settings: ConsumerSettings, ranMs: number): Ending {
  const error = coerceError(signal.reason)
  if (error instanceof LeaseLostError) return { outcome: null, ranMs, error }
  return { outcome: failureOutcome(error, message, settings), ranMs, error }
}
