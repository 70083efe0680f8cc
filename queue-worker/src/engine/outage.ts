/** Keeps account of whether the database answers: one event at the start of an outage, one at its end. */
import type { ConnectionFailure } from '../errors.ts'
import type { Emit } from './events.ts'

export type Outage = {
  succeeded(): void
  failed(failure: ConnectionFailure): void
  /** Failures in a row; 0 while all is well. */
  readonly failures: number
  /** For how long nothing has succeeded, 0 while all is well. */
  downMs(): number
  readonly last: ConnectionFailure | null
}

export function createOutage(now: () => number, emit: Emit): Outage {
  let since: number | null = null
  let failures = 0
  let last: ConnectionFailure | null = null
  return {
    succeeded() {
      if (since === null) return
      emit('connectionBack', { downMs: now() - since, failures })
      since = null
      failures = 0
    },
    failed(failure) {
      failures += 1
      const isFirst = since === null || last?.kind !== failure.kind
      since ??= now()
      last = failure
      if (isFirst) emit('connectionLost', { failure })
    },
    get failures() {
      return failures
    },
    downMs: () => (since === null ? 0 : now() - since),
    get last() {
      return last
    },
  }
}
