/** How it stands with each thing that a worker does with the database, from the ends of its calls. */
import type { Events, Listener } from './events.ts'

/** An outage shorter than this is a hiccup and not worth taking the worker out of service for. */
export const TOLERATED_OUTAGE_MS = 10_000

export type PartHealth = {
  /** Of the worker: `database`, `reading`, `settling`, …; or `queue` and its name. */
  readonly part: string
  /** degraded: it fails since a moment ago, or is held on purpose. */
  readonly state: 'ok' | 'degraded' | 'down'
  /** For how long it has not been ok, in milliseconds; 0 when it is. */
  readonly forMs: number
  /** What is the matter, in words; null when it is ok. */
  readonly error: string | null
}

export type CallKind = 'read' | 'settle' | 'extend' | 'isolate' | 'ledger' | 'beat' | 'tick'

const PARTS: Readonly<Record<CallKind, string>> = {
  read: 'reading',
  settle: 'settling',
  extend: 'heartbeat',
  isolate: 'isolation',
  ledger: 'ledger',
  beat: 'registry',
  tick: 'scheduler',
}

export type CallWatch = {
  readonly listener: Listener
  /** Of what was called at least once. */
  parts(): PartHealth[]
}

export function watchCalls(now: () => number, toleratedMs = TOLERATED_OUTAGE_MS): CallWatch {
  const known = new Map<CallKind, { sinceMs: number; error: string } | null>()
  return {
    listener: {
      called({ call, failure }: Events['called']) {
        const sinceMs = known.get(call)?.sinceMs ?? now()
        known.set(call, failure === null ? null : { sinceMs, error: failure.message })
      },
    },
    parts: () =>
      [...known].map(([call, failing]) =>
        partHealth(
          PARTS[call],
          failing && { forMs: now() - failing.sinceMs, error: failing.error },
          toleratedMs,
        ),
      ),
  }
}

export function partHealth(
  part: string,
  failing: { readonly forMs: number; readonly error: string } | null,
  toleratedMs: number,
): PartHealth {
  if (failing === null) return { part, state: 'ok', forMs: 0, error: null }
  return { part, state: failing.forMs > toleratedMs ? 'down' : 'degraded', ...failing }
}
