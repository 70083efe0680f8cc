/**
 * What the SQL protocol promises, in memory. Each function changes the state as the SQL function of the same name
 * changes its tables, and returns the answer that is due. See docs/protocol.md and proof/lease.pml.
 */
import type { SettleStatus } from '../../src/queue/contract.ts'
import {
  at,
  instant,
  isBefore,
  type ModelOutcome,
  type ModelSend,
  newRow,
  type Row,
  type State,
  type Ticket,
} from './state.ts'

/** Sends all or none. Answers, per send, the label of the message that its key had sent before, else null. */
export function send(state: State, sends: readonly ModelSend[]): (number | null)[] | 'refused' {
  if (sends.some(({ missing }) => missing)) return 'refused'
  return sends.map(({ label, delay, key }) => {
    const first = key === null ? undefined : state.keys[key]
    if (first !== undefined) return first
    if (key !== null) state.keys[key] = label
    state.rows.push(newRow(state, label, delay, null))
    return null
  })
}

export function isDue(state: State, row: Row): boolean {
  return row.place === 'queue' && row.vt.unit <= state.now
}

/** Which of the due messages a read takes is told by the tables; `readIsFair` judges the choice. */
export function read(state: State, labels: readonly number[], timeout: number): Ticket[] {
  const vt = instant(state, timeout)
  return labels.map((label) => {
    const row = state.rows.findIndex((one) => one.label === label && one.place === 'queue')
    const taken = at(state, row)
    taken.delivery += 1
    taken.vt = vt
    return { row, delivery: taken.delivery }
  })
}

/** As many as are due and asked for, all of them due, none twice, and nobody who waited longer is passed over. */
export function readIsFair(state: State, labels: readonly number[], limit: number): boolean {
  const due = state.rows.filter((row) => isDue(state, row))
  const taken = due.filter(({ label }) => labels.includes(label))
  const left = due.filter(({ label }) => !labels.includes(label))
  return (
    labels.length === (state.paused ? 0 : Math.min(limit, due.length)) &&
    taken.length === labels.length &&
    (labels.length === 0 || taken.every((one) => left.every((other) => !isBefore(other.vt, one.vt))))
  )
}

/** What a read says about a message's past; see docs/protocol.md, "The two budgets". */
export function counters(row: Row) {
  const recorded = Object.values(row.outcomes)
  return {
    failures: recorded.filter((kind) => kind === 'retry').length,
    // The newest delivery counts only once another one has come.
    interruptions: Math.max(0, row.delivery - 1) - recorded.length,
    diedAlone: row.alone.filter((delivery) => row.outcomes[delivery] === undefined).length,
  }
}

/** The fence: only the newest delivery, and only while it has no outcome. */
export function isHeld(state: State, ticket: Ticket): boolean {
  const row = at(state, ticket.row)
  return (
    row.place === 'queue' && row.delivery === ticket.delivery && row.outcomes[ticket.delivery] === undefined
  )
}

export type ModelSettlement = { readonly ticket: Ticket; readonly outcome: ModelOutcome }

/**
 * Many in one call: the first one of each delivery that is held acts; the others are told of it when all have.
 * Which are held is asked once, before any of them acts.
 */
export function settle(state: State, settlements: readonly ModelSettlement[]): SettleStatus[] {
  const acting = settlements.filter(
    ({ ticket }, i) =>
      isHeld(state, ticket) && settlements.findIndex((one) => isSame(one.ticket, ticket)) === i,
  )
  const acted = new Map(acting.map((one) => [one, settleHeld(state, one)]))
  return settlements.map((one) => acted.get(one) ?? lateStatus(state, one))
}

function settleHeld(state: State, { ticket, outcome }: ModelSettlement): SettleStatus {
  const row = at(state, ticket.row)
  if ('sends' in outcome && send(state, outcome.sends) === 'refused') return 'rejected'
  state.stats[outcome.kind] += 1
  if (outcome.kind === 'archive') row.place = 'archive'
  else if (outcome.kind === 'delete') row.place = 'deleted'
  else row.outcomes[ticket.delivery] = outcome.kind
  if (outcome.kind === 'dead') {
    row.place = 'dead'
    const { label, originKey, delivery: deliveries } = row
    state.letters.push({ label, originKey, deliveries, msgId: null, reason: outcome.reason, place: 'dead' })
  }
  if (row.place === 'queue') row.vt = instant(state, 'delay' in outcome ? outcome.delay : 0)
  return 'ok'
}

function lateStatus(
  state: State,
  { ticket: { row: index, delivery }, outcome: { kind } }: ModelSettlement,
): SettleStatus {
  const row = at(state, index)
  const recorded = row.outcomes[delivery]
  if (recorded !== undefined) return recorded === kind ? 'already' : 'lost'
  if (kind === 'archive' && row.place === 'archive' && row.delivery === delivery) return 'already'
  return kind === 'delete' && row.place !== 'queue' ? 'gone' : 'lost'
}

/** Never shortens: a message that is hidden for longer already stays so. */
export function extend(state: State, ticket: Ticket, timeout: number): boolean {
  if (!isHeld(state, ticket)) return false
  const row = at(state, ticket.row)
  const wanted = instant(state, timeout)
  if (isBefore(row.vt, wanted)) row.vt = wanted
  return true
}

export function isolate(state: State, ticket: Ticket, timeout: number): boolean {
  if (!extend(state, ticket, timeout)) return false
  const { alone } = at(state, ticket.row)
  if (!alone.includes(ticket.delivery)) alone.push(ticket.delivery)
  return true
}

/** Sends back the oldest letters of those asked for; answers their ids. */
export function redrive(state: State, msgIds: readonly string[] | null, limit: number): string[] {
  const chosen = state.letters
    .filter(({ place, msgId }) => place === 'dead' && (msgIds === null || msgIds.includes(msgId ?? '')))
    .toSorted((a, b) => Number(BigInt(a.msgId ?? 0) - BigInt(b.msgId ?? 0)))
    .slice(0, limit)
  for (const letter of chosen) {
    letter.place = 'redriven'
    state.rows.push(newRow(state, letter.label, 0, letter.originKey))
  }
  return chosen.map(({ msgId }) => msgId ?? '')
}

export function discard(state: State, msgIds: readonly string[]): number {
  const chosen = state.letters.filter(({ place, msgId }) => place === 'dead' && msgIds.includes(msgId ?? ''))
  for (const letter of chosen) letter.place = 'discarded'
  return chosen.length
}

function isSame(a: Ticket, b: Ticket): boolean {
  return a.row === b.row && a.delivery === b.delivery
}
