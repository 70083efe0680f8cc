/** One queue's share of the worker: takes the messages a read gave, runs them, hands their endings to the recorder. */
import type { StoppingError } from '../errors.ts'
import type { Processor } from '../processors/define.ts'
import type { Outcome, ReadDemand } from '../queue/contract.ts'
import type { Message } from '../queue/message.ts'
import { createLocalBreaker } from './breaker.ts'
import { judge } from './budgets.ts'
import { demand } from './capacity.ts'
import { type ContextParts, Run } from './context.ts'
import { createExecute, type Ending } from './execute.ts'
import type { Isolation } from './isolation.ts'
import type { Lease } from './leases.ts'
import { createRecorder, type RecorderParts } from './recorder.ts'
import type { Settler } from './settler.ts'
import { createSlots } from './slots.ts'

export type Consumer = {
  readonly queue: string
  /** What the next read should ask for beside what is expected of others; limit 0 when nothing more can be started soon. */
  demand(expected: number): ReadDemand
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

export type ConsumerParts = Omit<ContextParts, 'checkHeld'> &
  RecorderParts & {
    readonly processor: Processor
    readonly settler: Settler
    readonly isolation: Isolation | null
    readonly now: () => number
  }

const RELEASED: Ending = { outcome: { kind: 'release' }, ranMs: 0 }
/** How much of the mean run time each new run changes. */
const SMOOTHING = 0.1
/** So many at once are started only after what else the loop has to do. */
const MANY = 50
/** More unrecorded outcomes than this, and nothing new is read until the database takes them. */
const MAX_UNSETTLED = 1000

export function createConsumer(parts: ConsumerParts): Consumer {
  const { processor, settings, leases, settler, isolation, emit, now } = parts
  const buffer: Lease[] = []
  const slots = createSlots({ timeoutMs: settings.timeoutMs, emit, now, onFree: freed })
  const { conclude } = createRecorder(parts)
  const execute = createExecute(processor, settings, now, parts.tracing)
  const breaker = createLocalBreaker(now)
  const runParts: ContextParts = {
    ...parts,
    checkHeld(lease) {
      if (leases.isOver(lease, now())) throw lease.cancellation.reason
    },
  }
  let suspects = 0
  let closed = false
  let meanRunMs: number | null = null

  function accept(messages: readonly Message[], sentAtMs: number): void {
    if (messages.length === 0) return
    for (const message of messages) admit(leases.hold(message, settings.visibilityTimeoutSeconds, sentAtMs))
    // Many of them keep the loop busy for a while: let the next read be sent first, so that the database is busy too.
    if (messages.length < MANY) startNext()
    else setImmediate(startNext)
  }

  function admit(lease: Lease): void {
    const { message } = lease
    if (!mayStart(lease)) {
      conclude(lease, RELEASED, now())
      return
    }
    if (message.interruptions > 0) emit('returned', { message })
    const verdict = judge(message, settings, isolation !== null)
    if (verdict.run === 'never') {
      const { reason, error } = verdict
      const outcome: Outcome = { kind: 'dead', reason, error, attempts: message.failures }
      conclude(lease, { outcome, ranMs: 0, error: new Error(error) }, now())
    } else if (verdict.run === 'alone' && isolation !== null) void runAlone(lease, isolation)
    else buffer.push(lease)
  }

  /** Its run has ended. When that trips the breaker, what was read and not begun is given back. */
  function end(lease: Lease, ending: Ending, startedMs: number, then?: () => void): void {
    const recorded = breaker.noted(ending.outcome)
    if (recorded === null) conclude(lease, ending, startedMs, then)
    else {
      conclude(lease, ending, startedMs, () => {
        recorded()
        // For how long it is open, the next read tells.
        parts.onHidden(0)
        then?.()
      })
      giveBack()
    }
  }

  function mayStart(lease: Lease): boolean {
    return !closed && !breaker.isStale(lease.readAtMs)
  }

  function giveBack(): void {
    for (const lease of buffer.splice(0)) {
      conclude(lease, lease.lost ? { outcome: null, ranMs: 0 } : RELEASED, now())
    }
  }

  function startNext(): void {
    while (occupied() < settings.concurrency) {
      const lease = buffer.shift()
      if (lease === undefined) return
      if (leases.isOver(lease, now())) conclude(lease, { outcome: null, ranMs: 0 }, now())
      else start(lease)
    }
  }

  function start(lease: Lease): void {
    const slot = slots.take(lease, now())
    slot.execution = execute(lease.message, new Run(lease, settings, runParts), (ending) => {
      slots.free(slot)
      meanRunMs = meanRunMs === null ? ending.ranMs : meanRunMs + (ending.ranMs - meanRunMs) * SMOOTHING
      end(lease, ending, slot.startedMs)
      freed()
    })
  }

  function runAlone(lease: Lease, alone: Isolation): Promise<void> {
    suspects += 1
    return alone.run(lease, settings, {
      mayStart: () => mayStart(lease),
      onStart: () => emit('isolated', { message: lease.message }),
      onEnd(ending) {
        suspects -= 1
        return new Promise((resolve) => {
          end(lease, ending, now() - ending.ranMs, resolve)
          freed()
        })
      },
    })
  }

  /** Suspects wait for each other, not for a slot: together they take one. */
  function occupied(): number {
    return slots.running + slots.zombies + Math.min(suspects, 1)
  }

  function freed(): void {
    startNext()
    parts.onFree()
  }

  return {
    queue: processor.queue,
    accept,
    demand(expected) {
      const waiting = expected + buffer.length + Math.max(0, suspects - 1)
      const load = { ...settings, running: occupied(), buffered: waiting, meanRunMs }
      const isFull = closed || breaker.isTripping || settler.pending > MAX_UNSETTLED
      const limit = isFull ? 0 : demand(load)
      return { queue: processor.queue, limit, visibilityTimeoutSeconds: settings.visibilityTimeoutSeconds }
    },
    watch: slots.watch,
    close() {
      closed = true
      giveBack()
    },
    abort(reason) {
      for (const lease of leases.held()) {
        if (lease.message.queue === processor.queue && !lease.settling) lease.cancellation.abort(reason)
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
