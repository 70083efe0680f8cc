/** One queue's share of the worker: takes the messages a read gave, runs them, hands their outcomes to the settler. */
import type { StoppingError } from '../errors.ts'
import type { Processor } from '../processors/define.ts'
import type { Outcome, ReadDemand } from '../queue/contract.ts'
import type { Message } from '../queue/message.ts'
import { judge } from './budgets.ts'
import { demand } from './capacity.ts'
import { type ContextParts, createRun } from './context.ts'
import type { Emit } from './events.ts'
import { type Ending, execute } from './execute.ts'
import type { Isolation } from './isolation.ts'
import type { Lease, Leases } from './leases.ts'
import { failureOutcome } from './outcomes.ts'
import type { ConsumerSettings } from './settings.ts'
import type { Settler } from './settler.ts'
import { createSlots } from './slots.ts'

export type Consumer = {
  readonly queue: string
  /** What the next read should ask for; limit 0 when nothing more can be started soon. */
  demand(): ReadDemand
  accept(messages: readonly Message[], sentAtMs: number): void
  /** Enforces time limits; called several times a second while something runs. */
  watch(nowMs: number): void
  /** Starts nothing any more: what is in the buffer, and what a read may still bring, is released. */
  close(): void
  /** Aborts everything held here: what obeys is released. */
  abort(reason: StoppingError): void
  /** Waits no longer for what ignores its abort. */
  giveUp(error: Error): void
  readonly running: number
  readonly buffered: number
  readonly zombies: number
  readonly concurrency: number
}

export type ConsumerParts = ContextParts & {
  readonly processor: Processor
  readonly settings: ConsumerSettings
  readonly leases: Leases
  readonly settler: Settler
  readonly isolation: Isolation | null
  readonly emit: Emit
  readonly now: () => number
  /** Called when a slot frees up: the next read may ask for more. */
  readonly onFree: () => void
  /** Called when a message was hidden for so many milliseconds. */
  readonly onHidden: (ms: number) => void
}

const RELEASED: Ending = { outcome: { kind: 'release' }, ranMs: 0 }
/** How much of the mean run time each new run changes. */
const SMOOTHING = 0.1
/** More unrecorded outcomes than this, and nothing new is read until the database takes them. */
const MAX_UNSETTLED = 1000

export function createConsumer(parts: ConsumerParts): Consumer {
  const { processor, settings, leases, settler, isolation, emit, now } = parts
  const buffer: Lease[] = []
  const slots = createSlots({ timeoutMs: settings.timeoutMs, emit, now, onFree: freed })
  let suspects = 0
  let closed = false
  let meanRunMs: number | null = null

  function accept(messages: readonly Message[], sentAtMs: number): void {
    for (const message of messages) {
      const lease = leases.hold(message, settings.visibilityTimeoutSeconds, sentAtMs)
      if (closed) {
        conclude(lease, RELEASED, now())
        continue
      }
      if (message.interruptions > 0) emit('returned', { message })
      const verdict = judge(message, settings, isolation !== null)
      if (verdict.run === 'never') {
        const { reason, error } = verdict
        const outcome: Outcome = { kind: 'dead', reason, error, attempts: message.failures }
        conclude(lease, { outcome, ranMs: 0, error: new Error(error) }, now())
      } else if (verdict.run === 'alone' && isolation !== null) {
        void runAlone(lease, isolation)
      } else buffer.push(lease)
    }
    startNext()
  }

  function startNext(): void {
    while (occupied() < settings.concurrency) {
      const lease = buffer.shift()
      if (lease === undefined) return
      if (lease.lost) leases.drop(lease)
      else void start(lease)
    }
  }

  async function start(lease: Lease): Promise<void> {
    const startedMs = now()
    const run = createRun(lease.message, settings, lease.controller.signal, parts)
    const execution = execute(processor, lease.message, settings, run, now)
    const ending = await slots.run(lease, execution, startedMs)
    meanRunMs = meanRunMs === null ? ending.ranMs : meanRunMs + (ending.ranMs - meanRunMs) * SMOOTHING
    conclude(lease, ending, startedMs)
    freed()
  }

  async function runAlone(lease: Lease, alone: Isolation): Promise<void> {
    suspects += 1
    const startedMs = now()
    emit('isolated', { message: lease.message })
    const ending = await alone.run(lease, settings)
    suspects -= 1
    conclude(lease, ending, startedMs)
    freed()
  }

  function occupied(): number {
    return slots.running + slots.zombies + suspects
  }

  function freed(): void {
    startNext()
    parts.onFree()
  }

  function conclude(lease: Lease, { outcome, ranMs, error }: Ending, startedMs: number): void {
    if (outcome === null) {
      leases.drop(lease)
      return
    }
    lease.settling = true
    emit('finished', { message: lease.message, outcome, ranMs, ...(error ? { error } : {}) })
    const sentAtMs = lease.deadlineMs - lease.visibilityTimeoutSeconds * 1000
    const waitedMs = lease.message.waitedMs + Math.max(0, startedMs - sentAtMs)
    void record(lease, outcome, ranMs, waitedMs)
  }

  async function record(lease: Lease, outcome: Outcome, ranMs: number, waitedMs: number): Promise<void> {
    const receipt = lease.message
    const { status, error } = await settler.settle({ receipt, outcome, ranMs, waitedMs })
    emit('settled', { receipt, kind: outcome.kind, status, error })
    if (status === 'rejected' && (outcome.kind === 'archive' || outcome.kind === 'delete')) {
      // What it wanted to record cannot be: that is a failure of the message, told in its error.
      const failed = failureOutcome(
        new Error(`its success could not be recorded: ${error}`),
        receipt,
        settings,
      )
      return record(lease, failed, ranMs, waitedMs)
    }
    if ('delayMs' in outcome) parts.onHidden(outcome.delayMs)
    if (status === 'lost') emit('leaseLost', { message: receipt })
    leases.drop(lease)
    parts.onFree()
  }

  return {
    queue: processor.queue,
    accept,
    demand() {
      const load = {
        ...settings,
        running: occupied(),
        buffered: buffer.length,
        meanRunMs,
      }
      const limit = settler.pending > MAX_UNSETTLED ? 0 : demand(load)
      return { queue: processor.queue, limit, visibilityTimeoutSeconds: settings.visibilityTimeoutSeconds }
    },
    watch: slots.watch,
    close() {
      closed = true
      for (const lease of buffer.splice(0)) {
        if (lease.lost) leases.drop(lease)
        else conclude(lease, RELEASED, now())
      }
    },
    abort(reason) {
      for (const lease of leases.held()) {
        if (lease.message.queue === processor.queue && !lease.settling) lease.controller.abort(reason)
      }
    },
    giveUp: slots.giveUp,
    get running() {
      return slots.running + suspects
    },
    get buffered() {
      return buffer.length
    },
    get zombies() {
      return slots.zombies
    },
    concurrency: settings.concurrency,
  }
}
