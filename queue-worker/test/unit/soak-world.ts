/** A small soak in which all went well, for the tests of the ledger to spoil. */
import type { Evidence, Resting } from '../../../soak/evidence.ts'
import type { Line, Note } from '../../../soak/journal.ts'
import { KINDS, type Kind, QUEUES } from '../../../soak/kinds.ts'
import { drawLedger, type Ledger } from '../../../soak/ledger.ts'
import type { PlannedMessage, Via } from '../../../soak/plan.ts'

const planned: [Kind, Via][] = [
  ['quick', 'sql'],
  ['deleted', 'rpc'],
  ['fails', 'sql'],
  ['transaction_sends', 'postgres'],
  ['hold', 'sql'],
  ['repeat', 'sql'],
  ['invalid', 'sql'],
  ['quick', 'rolled_back'],
]
export const messages = planned.map(([kind, via], index): PlannedMessage => {
  const n = index + 1
  return { n, atMs: n, kind, via, twice: false, payload: { n, kind, ms: 0, times: 0, delaySeconds: 0 } }
})

export type World = { evidence: Evidence; journal: Line[] }

/** All went well; `fails` failed once. A test then spoils what it wants. */
export function goodWorld(): World {
  const of = (n: number, kind: Kind) => ({ n, kind, queue: QUEUES[KINDS[kind].queue], msgId: String(n) })
  const lies = (n: number, kind: Kind, rest: Partial<Resting> = {}): Resting => ({
    ...of(n, kind),
    where: 'archive',
    deliveries: 1,
    ...rest,
  })
  const journal: Line[] = []
  const say = (by: string, note: Note) => void journal.push({ t: journal.length * 10, by, ...note })
  const read = (n: number, kind: Kind, delivery = 1) =>
    say('rpc-1#1', {
      what: 'read',
      queue: of(n, kind).queue,
      msgId: String(n),
      delivery,
      until: journal.length * 10 + 3000,
    })
  const ran = (what: 'start' | 'end' | 'effect', n: number, kind: Kind) =>
    say('rpc-1#1', { what, ...of(n, kind), attempt: 1, key: `key-${n}`, pid: 1 } as Note)
  say('soak', { what: 'sent', n: 2, sentAs: '2' })
  say('soak', { what: 'sent', n: 4, sentAs: '4' })
  for (const { n, kind } of messages.slice(0, 6)) {
    read(n, kind)
    ran('start', n, kind)
    if (kind === 'fails') {
      read(n, kind, 2)
      ran('start', n, kind)
    }
    if (kind === 'hold' || kind === 'repeat') ran('effect', n, kind)
    ran('end', n, kind)
  }
  read(4, 'follow')
  ran('start', 4, 'follow')
  ran('end', 4, 'follow')
  const evidence: Evidence = {
    orders: [1, 3, 5, 6, 7],
    resting: [
      lies(1, 'quick'),
      lies(3, 'fails', { deliveries: 2 }),
      lies(4, 'transaction_sends'),
      lies(4, 'follow'),
      lies(5, 'hold'),
      lies(6, 'repeat'),
      lies(7, 'invalid', { where: 'dead', reason: 'invalid_payload' }),
    ],
    outcomes: [{ queue: QUEUES.work, msgId: '3', delivery: 1, outcome: 'retry' }],
    effects: [4],
    deleted: 1,
  }
  return { evidence, journal }
}

export const draw = ({ evidence, journal }: World): Ledger =>
  drawLedger({ messages, faults: [] }, evidence, journal)
export const found = (world: World) => draw(world).defects.map(({ what, id }) => `${what} ${id}`.trim())

export function without(world: World, ...ns: number[]): World {
  const resting = world.evidence.resting.filter(({ n }) => !ns.includes(n))
  return { ...world, evidence: { ...world.evidence, resting } }
}

export function withLines(world: World, ...notes: (Note & { by: string; t?: number })[]): World {
  const lines = notes.map((note, index): Line => ({ t: 10_000 + index, ...note }))
  return { ...world, journal: [...world.journal, ...lines] }
}

export const run = (
  n: number,
  kind: Kind,
  what: 'start' | 'effect' | 'early',
  by = 'rpc-1#1',
  key = `key-${n}`,
) =>
  ({
    what,
    by,
    n,
    kind,
    queue: QUEUES[KINDS[kind].queue],
    msgId: String(n),
    attempt: 1,
    key,
    pid: 1,
  }) as Note & {
    by: string
  }
export const reading = (n: number, kind: Kind, delivery: number, by: string) => ({
  what: 'read' as const,
  by,
  queue: QUEUES[KINDS[kind].queue],
  msgId: String(n),
  delivery,
  until: 13_000,
})
export const gone = (life: string, rest: Partial<Extract<Note, { what: 'gone' }>>) => ({
  what: 'gone' as const,
  by: 'soak',
  life,
  code: null,
  signal: null,
  asked: null,
  ...rest,
})
