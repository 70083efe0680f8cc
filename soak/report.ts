/** The ledger as text, and the history of what went wrong. Pure. */
import type { Evidence } from './evidence.ts'
import type { Line } from './journal.ts'
import { idOf } from './kinds.ts'
import type { Defect, Ledger } from './ledger.ts'
import { type PlanSettings, replayLine } from './settings.ts'

/** Defects that are told with their history; of the others the first line only. */
const TOLD_IN_FULL = 10

export function ledgerText(ledger: Ledger): string {
  const { effects, doubled } = ledger
  const dead = Object.values(ledger.dead).reduce((sum, count) => sum + count, 0)
  const rows: [string, number | string][] = [
    ['sent', ledger.sent + ledger.followUps],
    ['  by the producers', ledger.sent],
    ['  by other messages with context.send', ledger.followUps],
    ['rolled back and never seen', ledger.rolledBack],
    ['processed', ledger.archived + ledger.deleted],
    ['  archived', ledger.archived],
    ['  deleted', ledger.deleted],
    ['dead', dead],
    ...indented(ledger.dead),
    ['LOST', ledger.lost],
    ['ran more than once', doubled.messages],
    ...indented(doubled.byReason),
    ...Object.entries(ledger.outcomes).flatMap(([outcome, count]): [string, number][] => [
      [`outcomes: ${outcome}`, count],
      ...(outcome === 'release' ? indented(ledger.released) : []),
    ]),
    ['effects in transactions, each exactly once', effects.transaction],
    ['steps with "hold", each at most once', effects.hold],
    ['  of them held for a person to decide', effects.held],
    ['steps with "repeat"', effects.repeat],
    ['  of them done again, with the same key', effects.repeatAgain],
    ['settles refused by the fence', ledger.fencesRefused],
    ['settles whose answer was lost', ledger.answersLost],
    ['leases lost', ledger.leasesLost],
    ['workers started', ledger.workersStarted],
    ['faults', Object.values(ledger.faults).reduce((sum, count) => sum + count, 0)],
    ...indented(ledger.faults),
  ]
  const width = Math.max(...rows.map(([name]) => name.length))
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${String(value).padStart(7)}`).join('\n')
}

function indented(counts: Readonly<Record<string, number>>): [string, number][] {
  return Object.entries(counts)
    .sort(([, a], [, b]) => b - a)
    .map(([name, count]) => [`  ${name}`, count])
}

export function defectsText(
  defects: readonly Defect[],
  settings: PlanSettings,
  evidence: Evidence,
  journal: readonly Line[],
): string {
  const startedT = journal[0]?.t ?? 0
  const parts = defects.map(({ what, id, text }, index) => {
    const head = `${what}${id ? ` (message ${id})` : ''}: ${text}`
    return index < TOLD_IN_FULL && id !== ''
      ? [head, ...historyOf(id, evidence, journal, startedT)].join('\n  ')
      : head
  })
  return `${defects.length} things must not be:\n\n${parts.join('\n')}\n\nThe same plan again: ${replayLine(settings)}`
}

/** Everything that is known of a message, in the order it happened; the faults meanwhile are between. */
function historyOf(id: string, evidence: Evidence, journal: readonly Line[], startedT: number): string[] {
  const own = new Set(
    [
      ...evidence.resting.filter((one) => idOf(one) === id),
      ...journal.filter((line) => line.what === 'start' && idOf(line) === id),
    ].map((one) => ('msgId' in one ? `${one.queue}/${one.msgId}` : '')),
  )
  const isOwn = (one: object) =>
    'queue' in one && 'msgId' in one && own.has(`${String(one.queue)}/${String(one.msgId)}`)
  const at = journal.flatMap((line, index) => (isOwn(line) ? [index] : []))
  const [first = 0, last = -1] = [at[0], at.at(-1)]
  const lives = new Set(at.map((index) => journal[index]?.by))
  const told = journal
    .slice(first, last + 1)
    .filter(
      (line) =>
        isOwn(line) ||
        (isOutward(line) && ((line.what !== 'stall' && line.what !== 'failed') || lives.has(line.by))),
    )
  return [
    ...told.map(
      ({ t, by, ...rest }) => `${((t - startedT) / 1000).toFixed(3)} ${by} ${JSON.stringify(rest)}`,
    ),
    ...evidence.outcomes.filter(isOwn).map((one) => `recorded ${JSON.stringify(one)}`),
    ...evidence.resting.filter((one) => idOf(one) === id).map((one) => `lies in ${JSON.stringify(one)}`),
  ]
}

function isOutward({ what }: Line): boolean {
  return what === 'fault' || what === 'gone' || what === 'stall' || what === 'failed'
}
