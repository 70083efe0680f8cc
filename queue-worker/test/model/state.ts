/** The data of the model: one queue, its archive and its dead letters. Time is a number of units. */
import type { DeadReason, Outcome } from '../../src/queue/contract.ts'

export type Kind = Outcome['kind']
/** One message in the queue, or what became of it. A redriven message is a new row with the same label. */
export type Row = {
  readonly label: number
  /** Ids, times and keys are chosen by the database: unknown until it has shown them. */
  msgId: string | null
  enqueuedAt: string | null
  originKey: string | null
  place: 'queue' | 'archive' | 'deleted' | 'dead'
  delivery: number
  vt: Instant
  /** Outcomes by delivery: of those that did not archive or delete the message. */
  readonly outcomes: Record<number, Kind>
  /** Deliveries that were marked as running alone. */
  readonly alone: number[]
}
/** A unit of time, and the command that chose it: what was chosen later lies later within the unit. */
export type Instant = { readonly unit: number; readonly step: number }
export type Letter = {
  readonly label: number
  msgId: string | null
  readonly originKey: string | null
  readonly reason: DeadReason
  readonly deliveries: number
  place: 'dead' | 'redriven' | 'discarded'
}
export type State = {
  now: number
  step: number
  paused: boolean
  rows: Row[]
  letters: Letter[]
  /** Labels by idempotency key. */
  keys: Record<string, number>
  stats: Record<Kind, number>
}
/** Delays and visibility timeouts are in units. */
export type ModelSend = { label: number; delay: number; key: string | null; missing: boolean }
export type ModelOutcome =
  | { kind: 'archive' | 'delete'; sends: ModelSend[] }
  | { kind: 'retry' | 'snooze'; delay: number }
  | { kind: 'dead'; reason: DeadReason }
  | { kind: 'release' }
/** Names a delivery as the model knows it: the place of its row in `rows`, and the number. */
export type Ticket = { readonly row: number; readonly delivery: number }

export function emptyState(): State {
  const stats = { archive: 0, delete: 0, retry: 0, dead: 0, release: 0, snooze: 0 }
  return { now: 0, step: 0, paused: false, rows: [], letters: [], keys: {}, stats }
}

export function at(state: State, row: number): Row {
  const found = state.rows[row]
  if (found === undefined) throw new Error(`the model has no row ${row}`)
  return found
}

export function newRow(state: State, label: number, delay: number, originKey: string | null): Row {
  const vt = instant(state, delay)
  const unknown = { msgId: null, enqueuedAt: null }
  return { label, ...unknown, originKey, place: 'queue', delivery: 0, vt, outcomes: {}, alone: [] }
}

export function instant(state: State, fromNow: number): Instant {
  return { unit: state.now + fromNow, step: state.step }
}

export function isBefore(a: Instant, b: Instant): boolean {
  return a.unit < b.unit || (a.unit === b.unit && a.step < b.step)
}
