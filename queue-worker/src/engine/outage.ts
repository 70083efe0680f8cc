/** Keeps account of whether the database answers: an outage begins and ends once, whoever notices it. */
import type { ConnectionFailure } from '../errors.ts'
import type { Emit } from './events.ts'

/** One kind of call to the database. Its failures end with its own success: that others succeed proves nothing. */
export type Calls = {
  succeeded(): void
  failed(failure: ConnectionFailure): void
  /** Failures in a row; 0 while all is well. */
  readonly failures: number
}

export type Outage = {
  calls(): Calls
  /** For how long some kind of call has not succeeded, in milliseconds; 0 while all is well. */
  downMs(): number
  /** When any call was answered last, on our clock. */
  readonly answeredAtMs: number
  /** The newest failure, also after it was overcome. */
  readonly last: ConnectionFailure | null
}

export function createOutage(now: () => number, emit: Emit): Outage {
  /** Since when each kind of call that fails has not succeeded. */
  const failing = new Map<Calls, number>()
  /** Said already in this outage; a class of failure that is new in it is worth another line. */
  const told = new Set<string>()
  let sinceMs = 0
  let total = 0
  let answeredAtMs = Number.NEGATIVE_INFINITY
  let last: ConnectionFailure | null = null

  function over(): void {
    emit('connectionBack', { downMs: now() - sinceMs, failures: total })
    told.clear()
    total = 0
  }

  return {
    calls() {
      let failures = 0
      const calls: Calls = {
        succeeded() {
          answeredAtMs = now()
          if (failures === 0) return
          failures = 0
          failing.delete(calls)
          if (failing.size === 0) over()
        },
        failed(failure) {
          if (failing.size === 0) sinceMs = now()
          if (!failing.has(calls)) failing.set(calls, now())
          failures += 1
          total += 1
          last = failure
          if (told.has(failure.kind)) return
          told.add(failure.kind)
          emit('connectionLost', { failure })
        },
        get failures() {
          return failures
        },
      }
      return calls
    },
    downMs: () => (failing.size === 0 ? 0 : now() - Math.min(...failing.values())),
    get answeredAtMs() {
      return answeredAtMs
    },
    get last() {
      return last
    },
  }
}
