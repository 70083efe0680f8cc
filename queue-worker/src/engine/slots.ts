/** The places in which processors of one queue run, and the time limits that get them free again. */
import { TimeLimitError } from '../errors.ts'
import type { Emit } from './events.ts'
import type { Ending, Execution } from './execute.ts'
import type { Lease } from './leases.ts'
import { ABORT_GRACE_MS } from './settings.ts'

export type Slots = {
  /** Occupies a slot until the run has ended, or was given up. */
  run(lease: Lease, execution: Execution, startedMs: number): Promise<Ending>
  /** Aborts what is past its time limit, and gives up what ignores that. Called several times a second. */
  watch(nowMs: number): void
  /** Ends all waiting: whatever still runs ends with this error. */
  giveUp(error: Error): void
  readonly running: number
  /** Processors that were given up but whose code still runs: the work they do is real, so they keep their slot. */
  readonly zombies: number
}

type Running = {
  readonly lease: Lease
  readonly execution: Execution
  readonly startedMs: number
  givenUp: boolean
}

export function createSlots(parts: {
  timeoutMs: number
  emit: Emit
  now: () => number
  onFree: () => void
}): Slots {
  const { timeoutMs, emit, now } = parts
  const running = new Set<Running>()
  let zombies = 0

  function keep({ lease: { message }, execution, startedMs }: Running): void {
    zombies += 1
    emit('zombie', { message, ranMs: now() - startedMs })
    void execution.finished().then(() => {
      zombies -= 1
      emit('zombieEnded', { message })
      parts.onFree()
    })
  }

  return {
    async run(lease, execution, startedMs) {
      const entry: Running = { lease, execution, startedMs, givenUp: false }
      running.add(entry)
      const ending = await execution.ended
      running.delete(entry)
      if (entry.givenUp) keep(entry)
      return ending
    },
    watch(nowMs) {
      for (const entry of running) {
        const { cancellation } = entry.lease
        const overMs = nowMs - entry.startedMs - timeoutMs
        if (overMs < 0) continue
        const error = new TimeLimitError(`ran longer than its time limit of ${timeoutMs} ms`)
        cancellation.abort(error)
        if (overMs >= ABORT_GRACE_MS && !entry.givenUp) {
          entry.givenUp = true
          entry.execution.giveUp(error)
        }
      }
    },
    giveUp(error) {
      for (const entry of running) {
        entry.givenUp = true
        entry.execution.giveUp(error)
      }
    },
    get running() {
      return running.size
    },
    get zombies() {
      return zombies
    },
  }
}
