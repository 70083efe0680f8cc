/** From what was planned, what the database holds and what the journal tells, to accounts and verdicts. Pure. */

import { countBy } from './count.ts'
import type { Evidence, Resting } from './evidence.ts'
import { countReleases, explainRepeats, type Repeat } from './explain.ts'
import { type Line, type LineOf, lines, MEND_ID } from './journal.ts'
import { idOf, POISON_EXIT, QUEUES, rulesOf } from './kinds.ts'
import type { Plan } from './plan.ts'

/** Something that must not be. `id` names the message; empty: it concerns none. */
export type Defect = {
  readonly what:
    | 'lost'
    | 'stuck'
    | 'in two places'
    | 'wrong end'
    | 'settled unrun'
    | 'unexplained double'
    | 'effects'
    | 'never sent, but there'
    | 'too early'
    | 'worker died by itself'
    | 'counted wrongly'
    | 'other'
  readonly id: string
  readonly text: string
}

export type Ledger = {
  readonly sent: number
  readonly followUps: number
  readonly rolledBack: number
  readonly archived: number
  readonly deleted: number
  readonly dead: Readonly<Record<string, number>>
  readonly lost: number
  /** Messages that ran more than once, and why each time. */
  readonly doubled: { readonly messages: number; readonly byReason: Readonly<Record<string, number>> }
  readonly outcomes: Readonly<Record<string, number>>
  readonly released: Readonly<Record<string, number>>
  readonly effects: {
    readonly transaction: number
    readonly hold: number
    readonly held: number
    readonly repeat: number
    readonly repeatAgain: number
  }
  /** Settles that came too late and changed nothing, and leases that were lost before that. */
  readonly fencesRefused: number
  readonly leasesLost: number
  readonly answersLost: number
  readonly faults: Readonly<Record<string, number>>
  readonly workersStarted: number
  readonly defects: readonly Defect[]
}

type Fate = {
  readonly id: string
  readonly end: 'done' | 'deleted' | 'dead' | 'queue' | 'lost'
  readonly at?: Resting
}

export function drawLedger(plan: Plan, evidence: Evidence, journal: readonly Line[]): Ledger {
  const defects: Defect[] = []
  const defect = (what: Defect['what'], id: string, text: string) => void defects.push({ what, id, text })
  const resting = Map.groupBy(evidence.resting, idOf)
  const ends = lines(journal, 'end')
  const ended = new Set(ends.map(idOf))
  const effects = countBy(evidence.effects, String)
  const steps = Map.groupBy(lines(journal, 'effect'), (line) => idOf(line))

  // A message is accounted for if it was confirmed, also when the database knows nothing of it any more.
  const orders = new Set(evidence.orders)
  const confirmed = new Set(lines(journal, 'sent').map(({ n }) => n))
  const isSent = (n: number) => orders.has(n) || confirmed.has(n)
  const sent = plan.messages.filter(({ n, via }) => via !== 'rolled_back' && isSent(n))
  for (const { n } of sent.filter(({ n, via }) => via === 'sql' && !orders.has(n))) {
    defect('lost', String(n), 'its order was committed and is nowhere')
  }
  const fates = new Map(sent.map((message) => [String(message.n), fateOf(String(message.n), message.kind)]))
  const parents = sent.filter(({ kind, n }) => rulesOf(kind).sends && isWell(fates.get(String(n))))
  for (const { n } of parents) fates.set(`${n}>follow`, fateOf(`${n}>follow`, 'follow'))

  function fateOf(id: string, kind: Resting['kind']): Fate {
    const [at, ...others] = resting.get(id) ?? []
    if (others.length > 0) defect('in two places', id, `it is there ${others.length + 1} times`)
    if (at !== undefined) return { id, end: at.where === 'archive' ? 'done' : at.where, at }
    // What is deleted leaves nothing behind but the end of its run.
    return { id, end: QUEUES[rulesOf(kind).queue] === QUEUES.brief && ended.has(id) ? 'deleted' : 'lost' }
  }

  for (const { id, end, at } of fates.values()) {
    const kind = at?.kind
    if (end === 'lost') defect('lost', id, 'it was sent and is nowhere')
    if (end === 'queue') defect('stuck', id, 'it is still in its queue')
    if (kind === undefined) continue
    const rules = rulesOf(kind)
    const count = effects[id] ?? 0
    const stepsDone = steps.get(id) ?? []
    if (end === 'dead' && !rules.mayDieOf.some((reason) => reason === at?.reason)) {
      defect('wrong end', id, `${kind} became a dead letter: ${at?.reason}, ${at?.error}`)
    }
    if (end === 'done' && !rules.mayEndWell) defect('wrong end', id, `${kind} was archived`)
    if (end === 'done' && rules.effect !== 'transaction' && !ended.has(id)) {
      defect('settled unrun', id, `${kind} was archived, and no run of it ended`)
    }
    if (rules.effect === 'transaction' && count !== (end === 'done' ? 1 : 0)) {
      defect('effects', id, `${count} effects of a transaction, and its end is: ${end}`)
    }
    if (rules.effect === 'hold' && (stepsDone.length > 1 || (end === 'done' && stepsDone.length !== 1))) {
      defect('effects', id, `${stepsDone.length} effects of a step that is held, and its end is: ${end}`)
    }
    if (rules.effect === 'repeat' && end === 'done' && stepsDone.length < 1) {
      defect('effects', id, 'no effect of a step that is repeated')
    }
    if (new Set(stepsDone.map(({ key }) => key)).size > 1) {
      defect('effects', id, 'its effects had different idempotency keys')
    }
  }

  for (const id of new Set([...resting.keys(), ...lines(journal, 'start').map(idOf)])) {
    if (!fates.has(id)) defect('never sent, but there', id, 'it was rolled back, or belongs to nothing')
  }
  // What is redriven comes back at once, as a new message.
  const firstIds = new Map(
    lines(journal, 'start')
      .toReversed()
      .map((line) => [idOf(line), line.msgId]),
  )
  const early = lines(journal, 'early').filter((line) => firstIds.get(idOf(line)) === line.msgId)
  for (const line of early) defect('too early', idOf(line), 'it ran before its delay was over')
  for (const line of lines(journal, 'wrong')) defect('other', '', line.text)
  const gone = lines(journal, 'gone')
  const born = new Set(lines(journal, 'born').map(({ by }) => by))
  for (const { life, code, signal, asked } of gone) {
    // One that was still being started ends at once.
    const isStopped = code === 0 || (signal === 'SIGTERM' && !born.has(life))
    const isRight = asked === 'SIGKILL' || code === POISON_EXIT || (asked === 'SIGTERM' && isStopped)
    if (!isRight) defect('worker died by itself', '', `${life} ended with ${signal ?? code}, asked: ${asked}`)
  }
  const repeats = explainRepeats(journal, evidence.outcomes)
  for (const { id, start, reason } of repeats) {
    if (reason === null) defect('unexplained double', id, `its run on ${start.by} was followed by another`)
  }
  const all = [...fates.values()]
  const deleted = all.filter(({ end }) => end === 'deleted').length
  if (deleted !== evidence.deleted) {
    defect('counted wrongly', '', `${deleted} messages were deleted, and the stats have ${evidence.deleted}`)
  }
  const stepsOf = (effect: string) =>
    [...steps.values()].filter(([first]) => first !== undefined && rulesOf(first.kind).effect === effect)
  const settled = lines(journal, 'settled')
  return {
    sent: sent.length,
    followUps: parents.length,
    rolledBack: plan.messages.filter(({ via }) => via === 'rolled_back').length,
    archived: all.filter(({ end }) => end === 'done').length,
    deleted,
    dead: countBy(
      all.filter(({ end }) => end === 'dead'),
      ({ at }) => String(at?.reason),
    ),
    lost: all.filter(({ end }) => end === 'lost').length,
    doubled: {
      messages: new Set(repeats.map(({ id }) => id)).size,
      byReason: countBy(repeats, ({ reason }: Repeat) => reason ?? 'UNEXPLAINED'),
    },
    outcomes: countBy(evidence.outcomes, ({ outcome }) => outcome),
    released: countReleases(journal, evidence.outcomes),
    effects: {
      transaction: evidence.effects.length,
      hold: stepsOf('hold').length,
      held: all.filter(({ end, at }) => end === 'dead' && at?.kind === 'hold').length,
      repeat: stepsOf('repeat').length,
      repeatAgain: stepsOf('repeat').filter((done) => done.length > 1).length,
    },
    fencesRefused: settled.filter(({ status }) => status === 'lost').length,
    leasesLost: lines(journal, 'lease_lost').length,
    answersLost: settled.filter(({ status }) => status === 'already').length,
    faults: countFaults(lines(journal, 'fault')),
    workersStarted: lines(journal, 'born').length,
    defects,
  }
}

const isWell = (fate: Fate | undefined) => fate?.end === 'done' || fate?.end === 'deleted'

/** Those that struck; the mending at the end is none. */
function countFaults(faults: readonly LineOf<'fault'>[]): Record<string, number> {
  const voided = new Set(faults.filter(({ phase }) => phase === 'void').map(({ id }) => id))
  const struck = faults.filter(({ id, phase }) => phase === 'begin' && id !== MEND_ID && !voided.has(id))
  return countBy(struck, ({ kind }) => kind)
}
