/** The places in which processors of one queue run, and the time limits that get them free again. */
import { TimeLimitError } from '../errors.ts'
import type { Emit } from './events.ts'
import type { Execution } from './execute.ts'
import type { Lease } from './leases.ts'
import { ABORT_GRACE_MS } from './settings.ts'

export type Slots = {
  /** Occupies a slot until `free`. */
  take(lease: Lease, startedMs: number): Slot
  /** The run has ended, or was given up. */
  free(slot: Slot): void
  /** Aborts what is past its time limit, and gives up what ignores that. Called several times a second. */
  watch(nowMs: number): void
  /** Ends all waiting: whatever still runs ends with this error. */
  giveUp(error: Error): void
  readonly running: number
  /** Processors that were given up but whose code still runs: the work they do is real, so they keep their slot. */
  readonly zombies: number
}

export type Slot = {
  readonly lease: Lease
  readonly startedMs: number
  /** What runs in it, as soon as it has begun. */
  execution: Execution | null
  givenUp: boolean
}

export function createSlots(parts: {
  timeoutMs: number
  emit: Emit
  now: () => number
  onFree: () => void
}): Slots {
  const { timeoutMs, emit, now } = parts
  const running = new Set<Slot>()
  let zombies = 0

  function keep({ lease: { message }, execution, startedMs }: Slot): void {
    zombies += 1
    emit('zombie', { message, ranMs: now() - startedMs })
    void execution?.finished().then(() => {
      zombies -= 1
      emit('zombieEnded', { message })
      parts.onFree()
    })
  }

  return {
    take(lease, startedMs) {
      const slot: Slot = { lease, startedMs, execution: null, givenUp: false }
      running.add(slot)
      return slot
    },
    free(slot) {
      running.delete(slot)
      if (slot.givenUp) keep(slot)
    },
    watch(nowMs) {
      for (const slot of [...running]) {
        const { cancellation } = slot.lease
        const overMs = nowMs - slot.startedMs - timeoutMs
        if (overMs < 0) continue
        const error = new TimeLimitError(`ran longer than its time limit of ${timeoutMs} ms`)
        cancellation.abort(error)
        if (overMs >= ABORT_GRACE_MS && !slot.givenUp) {
          slot.givenUp = true
          slot.execution?.giveUp(error)
        }
      }
    },
    giveUp(error) {
      for (const slot of [...running]) {
        slot.givenUp = true
        slot.execution?.giveUp(error)
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
