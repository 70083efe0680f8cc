/**
 * Runs suspects alone, one after the other, in a child process that does nothing else: when the child dies, it is
 * known which message did it, and nobody else was harmed. The child is kept while it lives and has work.
 */
import { coerceError, LeaseLostError, TimeLimitError } from '../errors.ts'
import type { Queue } from '../queue/contract.ts'
import { type Message, plainMessage } from '../queue/message.ts'
import { unlessAborted } from '../utils/unless-aborted.ts'
import { type Child, type ChildOrders, startChild } from './child.ts'
import type { Emit } from './events.ts'
import type { Ending } from './execute.ts'
import type { Lease } from './leases.ts'
import { failureOutcome } from './outcomes.ts'
import { persist } from './persist.ts'
import { ABORT_GRACE_MS, type ConsumerSettings, MAX_TIMER_MS } from './settings.ts'

export type Isolation = {
  /**
   * Waits for its turn, asks whether it still may start, marks the message as running alone, runs it, and hands its
   * ending over. The turn lasts until that is recorded: else a death of the next suspect, if it took the worker
   * along, would be blamed on this one as well. Never rejects.
   */
  run(lease: Lease, settings: ConsumerSettings, watcher: Watcher): Promise<void>
  close(): Promise<void>
}

export type Watcher = {
  mayStart(): boolean
  onStart(): void
  /** Resolves when the outcome is recorded; never rejects. */
  onEnd(ending: Ending): Promise<void>
}

export type IsolationParts = ChildOrders & {
  /** The module the child runs: see isolated.ts. */
  readonly entry: string
  /** Undefined: this process's own. */
  readonly environment: Readonly<Record<string, string | undefined>> | undefined
  readonly queue: Pick<Queue, 'isolate'>
  readonly emit: Emit
  readonly now: () => number
}

/** A child that cannot be started is not the message's fault: it waits this long and is not charged. */
const UNAVAILABLE_MS = 30_000
/** Loading the processors may take this long. */
const START_MS = 30_000
/** Without suspects for this long, the child is let go. */
const IDLE_MS = 60_000
const RELEASED: Ending = { outcome: { kind: 'release' }, ranMs: 0 }

export function createIsolation(parts: IsolationParts): Isolation {
  const { queue, emit, now } = parts
  let child: Child | null = null
  let starting: Promise<Child> | null = null
  let unavailable: { readonly error: Error; readonly untilMs: number } | null = null
  let turn: Promise<unknown> = Promise.resolve()
  let idle: NodeJS.Timeout | undefined
  let closed = false

  async function ready(): Promise<Child> {
    clearTimeout(idle)
    // First, because it lives from its first moment on, and would answer what it is asked with its being ready.
    if (starting !== null) return starting
    if (child?.isAlive) return child
    starting = start().finally(() => {
      starting = null
    })
    return starting
  }

  async function start(): Promise<Child> {
    const { connection, workerId, modules, queues, logging } = parts
    const started = startChild(parts.entry, parts.environment)
    child = started
    const limit = setTimeout(started.kill, START_MS)
    const answer = await started.ask({ type: 'start', connection, workerId, modules, queues, logging })
    clearTimeout(limit)
    if (answer.type === 'ready' && !closed) return started
    started.kill()
    throw answer.type === 'failed' ? answer.error : new Error('the child for suspects could not be started')
  }

  async function runNow(lease: Lease, settings: ConsumerSettings, onStart: () => void): Promise<Ending> {
    const { message, cancellation } = lease
    const { signal } = cancellation
    if (unavailable !== null && now() < unavailable.untilMs) return snoozed(unavailable.error)
    try {
      await unlessAborted(ready(), signal)
    } catch (thrown) {
      if (signal.aborted) return aborted(signal, message, settings, 0)
      const error = coerceError(thrown)
      unavailable = { error, untilMs: now() + UNAVAILABLE_MS }
      emit('isolationFailed', { error })
      return snoozed(error)
    }
    const extension = { receipt: message, visibilityTimeoutSeconds: lease.visibilityTimeoutSeconds }
    const asked = persist(() => queue.isolate(extension, parts.workerId), signal)
    let isHeld: boolean
    try {
      isHeld = await unlessAborted(asked, signal)
    } catch (thrown) {
      if (signal.aborted) return aborted(signal, message, settings, 0)
      const error = coerceError(thrown)
      emit('isolationFailed', { error })
      return snoozed(error)
    }
    if (!isHeld) return { outcome: null, ranMs: 0 }
    onStart()
    // What ran before may have left something behind that ended the child only now.
    return supervise(await ready(), lease, settings)
  }

  async function supervise(runner: Child, lease: Lease, settings: ConsumerSettings): Promise<Ending> {
    const { message, cancellation } = lease
    const { signal } = cancellation
    if (signal.aborted) return aborted(signal, message, settings, 0)
    const startedMs = now()
    const limit = setTimeout(
      () => {
        cancellation.abort(new TimeLimitError(`ran longer than its time limit of ${settings.timeoutMs} ms`))
      },
      Math.min(settings.timeoutMs, MAX_TIMER_MS),
    )
    let kill: NodeJS.Timeout | undefined
    const onAbort = () => {
      runner.abort(coerceError(signal.reason))
      kill = setTimeout(runner.kill, ABORT_GRACE_MS)
    }
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      const answer = await runner.ask({ type: 'run', message: plainMessage(message), settings })
      // What was aborted ends for the reason of its abort, whatever the child made of it.
      if (answer.type === 'ending' && !(signal.aborted && answer.error)) return answer
      // Whatever it still does, its answer must not be taken for that of the next.
      if (answer.type !== 'ending') runner.kill()
      const ranMs = now() - startedMs
      if (signal.aborted) return aborted(signal, message, settings, ranMs)
      const error =
        answer.type === 'failed' ? answer.error : new Error('the child for suspects broke its protocol')
      return { outcome: failureOutcome(error, message, settings), ranMs, error }
    } finally {
      clearTimeout(limit)
      clearTimeout(kill)
      signal.removeEventListener('abort', onAbort)
      if (!closed) idle = setTimeout(letGo, IDLE_MS).unref()
    }
  }

  async function afterTurn(
    before: Promise<unknown>,
    lease: Lease,
    settings: ConsumerSettings,
    watcher: Watcher,
  ): Promise<Ending> {
    const { signal } = lease.cancellation
    try {
      await unlessAborted(before, signal)
      return watcher.mayStart() ? await runNow(lease, settings, watcher.onStart) : RELEASED
    } catch (thrown) {
      return signal.aborted ? aborted(signal, lease.message, settings, 0) : snoozed(coerceError(thrown))
    }
  }

  function letGo(): void {
    const last = child
    child = null
    void last?.close()
  }

  return {
    run(lease, settings, watcher) {
      const before = turn
      const recorded = afterTurn(before, lease, settings, watcher).then(watcher.onEnd)
      turn = Promise.all([before, recorded])
      return recorded
    },
    async close() {
      closed = true
      clearTimeout(idle)
      await child?.close()
    },
  }
}

function snoozed(error: Error): Ending {
  return { outcome: { kind: 'snooze', delayMs: UNAVAILABLE_MS }, ranMs: 0, error }
}

function aborted(signal: AbortSignal, message: Message, settings: ConsumerSettings, ranMs: number): Ending {
  const error = coerceError(signal.reason)
  if (error instanceof LeaseLostError) return { outcome: null, ranMs, error }
  return { outcome: failureOutcome(error, message, settings), ranMs, error }
}
