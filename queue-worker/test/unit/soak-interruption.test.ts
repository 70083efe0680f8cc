/** What explains that a message came again, and above all what does not: a check that cannot fail proves nothing. */
import { describe, expect, test } from 'vitest'
import { explainRepeats } from '../../../soak/explain.ts'
import type { Line, Note } from '../../../soak/journal.ts'
import { QUEUES } from '../../../soak/kinds.ts'

const QUEUE = QUEUES.work
const KEY = `${QUEUE}/1/1`
type Told = Note & { readonly t: number; readonly by: string }

const read = (life: string, delivery: number, t: number): Told => ({
  what: 'read',
  by: life,
  t,
  queue: QUEUE,
  msgId: '1',
  delivery,
  until: t + 3000,
})
const start = (life: string, t: number): Told => ({
  what: 'start',
  by: life,
  t,
  n: 1,
  kind: 'lingers',
  queue: QUEUE,
  msgId: '1',
  attempt: 1,
  key: 'key',
  pid: 1,
})
const fault = (kind: string, target: string, from: number, to: number): Told[] => {
  const told = { what: 'fault' as const, by: 'soak', id: 1, kind, target }
  return [
    { ...told, t: from, phase: 'begin' },
    { ...told, t: to, phase: 'end' },
  ]
}
const gone = (life: string, t: number, rest: { asked?: string; code?: number }): Told => ({
  what: 'gone',
  by: 'soak',
  t,
  life,
  code: rest.code ?? null,
  signal: null,
  asked: rest.asked ?? null,
})
/** A call for the delivery (or another) did not come through. */
const failed = (life: string, t: number, of: string = KEY, queues: string[] = [QUEUE]): Told => ({
  what: 'failed',
  by: life,
  t,
  ms: 100,
  call: 'extend',
  queues,
  of: [of],
  text: 'Error',
})
const stall = (life: string, t: number, ms: number): Told => ({ what: 'stall', by: life, t, ms })
/** A heartbeat asked for it for three seconds from `askedT` on, and heard so at `t`. */
const extended = (life: string, askedT: number, t: number): Told => ({
  ...{ what: 'held', by: life, t, queue: QUEUE, msgId: '1', delivery: 1, until: askedT + 3000 },
})

/** Read at 1000, started, and read by another at 6000: the lease ran out between. What was told meanwhile is given. */
function reasonFor(life: string, ...told: readonly Told[]): string | null | undefined {
  const repeated = [read(life, 1, 1000), start(life, 1010), read('rpc-9#1', 2, 6000), start('rpc-9#1', 6010)]
  const journal = [...repeated, ...told].toSorted((a, b) => a.t - b.t) as Line[]
  return explainRepeats(journal, [])[0]?.reason
}

const OUTAGE = 'an outage outlasted its visibility timeout'
const SLOW = 'its worker, the database or the machine was too slow'

describe('a message that came again', () => {
  test.each<[reason: string, life: string, told: Told[]]>([
    ['its worker was killed while it had it', 'rpc-1#1', [gone('rpc-1#1', 2000, { asked: 'SIGKILL' })]],
    ['its worker was taken along by a poison message', 'rpc-1#1', [gone('rpc-1#1', 2000, { code: 77 })]],
    [
      'its worker was frozen for longer than the lease',
      'rpc-1#1',
      [...fault('freeze', 'rpc-1', 1500, 7000), stall('rpc-1#1', 7100, 5500)],
    ],
    [OUTAGE, 'rpc-1#1', [...fault('postgres_fast', '', 1500, 5000), failed('rpc-1#1', 2000)]],
    [OUTAGE, 'postgres-1#1', [...fault('silent', 'postgres-1', 1500, 2000), failed('postgres-1#1', 5000)]],
    [OUTAGE, 'rpc-1#1', [...fault('postgrest_kill', '', 1500, 5000), failed('rpc-1#1', 2000)]],
    [OUTAGE, 'rpc-1#1', [...fault('connections', 'rpc', 1500, 5000), failed('rpc-1#1', 2000)]],
    [OUTAGE, 'rpc-1#1', [...fault('disk', QUEUE, 1500, 5000), failed('rpc-1#1', 2000)]],
    [
      'a call for it was held up by another queue, which was locked or out of disk',
      'rpc-1#1',
      [...fault('lock', QUEUES.follow, 1500, 5000), failed('rpc-1#1', 2000, KEY, [QUEUE, QUEUES.follow])],
    ],
    [SLOW, 'rpc-1#1', [stall('rpc-1#1', 4000, 2000)]],
    [SLOW, 'rpc-1#1', [extended('rpc-1#1', 2500, 4100)]],
  ])('did so because %s (%s)', (reason, life, told) => {
    expect(reasonFor(life, ...told)).toBe(reason)
  })

  test.each<[what: string, life: string, told: Told[]]>([
    ['nothing at all', 'rpc-1#1', []],
    [
      'PostgREST that was killed, to a worker with a direct connection',
      'postgres-1#1',
      [...fault('postgrest_kill', '', 1500, 5000), failed('postgres-1#1', 2000)],
    ],
    [
      "RPC's sessions that were cut, to a worker with a direct connection",
      'postgres-1#1',
      [...fault('terminate', 'rpc', 1500, 1500), failed('postgres-1#1', 2000)],
    ],
    [
      'a lock on another queue, that ended before the read',
      'postgres-1#1',
      [
        ...fault('lock', QUEUES.follow, -5500, -3500),
        failed('postgres-1#1', 1100, KEY, [QUEUE, QUEUES.follow]),
      ],
    ],
    [
      'a lock on another queue, which the failed call had nothing to do with',
      'postgres-1#1',
      [...fault('lock', QUEUES.follow, 1500, 5000), failed('postgres-1#1', 2000)],
    ],
    ["another worker's network", 'rpc-1#1', [...fault('silent', 'rpc-2', 0, 9000), failed('rpc-1#1', 2000)]],
    ['an outage of which its worker noticed nothing', 'rpc-1#1', fault('postgres_fast', '', 1500, 5000)],
    [
      'an outage in which only calls for other messages failed',
      'rpc-1#1',
      [...fault('postgres_fast', '', 1500, 5000), failed('rpc-1#1', 2000, `${QUEUE}/2/1`)],
    ],
    ['a call that failed without any fault', 'rpc-1#1', [failed('rpc-1#1', 2000)]],
    ['a fault that found nothing to strike', 'rpc-1#1', voided()],
    ['the death of another worker', 'rpc-1#1', [gone('rpc-2#1', 2000, { asked: 'SIGKILL' })]],
    [
      'a death that came only after the next delivery',
      'rpc-1#1',
      [gone('rpc-1#1', 6500, { asked: 'SIGKILL' })],
    ],
    [
      'a freeze of another worker',
      'rpc-1#1',
      [...fault('freeze', 'rpc-2', 0, 9000), stall('rpc-1#1', 3000, 900)],
    ],
    ['a moment of slowness', 'rpc-1#1', [stall('rpc-1#1', 3000, 900)]],
    ['an answer that took a moment', 'rpc-1#1', [extended('rpc-1#1', 2500, 3000)]],
    ['slowness before its lease began', 'rpc-1#1', [stall('rpc-1#1', 950, 5000)]],
  ])('is not explained by %s', (_what, life, told) => {
    expect(reasonFor(life, ...told)).toBeNull()
  })

  test('is not explained by any fault while its lease had not run out, or after its outcome was recorded', () => {
    const outage = [...fault('postgres_fast', '', 1500, 5000), failed('rpc-1#1', 2000)]
    const held = { what: 'held', by: 'rpc-1#1', t: 4000, queue: QUEUE, msgId: '1', delivery: 1 } as const
    expect(reasonFor('rpc-1#1', ...outage)).toBe(OUTAGE)
    expect(reasonFor('rpc-1#1', ...outage, { ...held, until: 7000 })).toBeNull()
    const late = { ...held, t: 4200, until: 5900 }
    const lost = { ...held, what: 'lease_lost', t: 4100 } as const
    expect(reasonFor('rpc-1#1', ...outage, late)).toBeNull()
    expect(reasonFor('rpc-1#1', ...outage, lost, late)).toBe(OUTAGE)
    const stopping = { what: 'stopping', by: 'rpc-1#1', t: 1900 } as const
    expect(reasonFor('rpc-1#1', ...outage, late, stopping)).toBe(
      'its worker stopped in an outage that outlasted the stop',
    )
    expect(reasonFor('rpc-1#1', ...outage, late, { ...stopping, t: 2100 })).toBeNull()
    const settled = { ...held, what: 'settled', outcome: 'archive' } as const
    expect(reasonFor('rpc-1#1', ...outage, { ...settled, status: 'ok' })).toBeNull()
    expect(reasonFor('rpc-1#1', ...outage, { ...settled, t: 6500, status: 'lost' })).toBe(OUTAGE)
    // "already" tells of its own outcome, but for a delete that comes after another's.
    expect(reasonFor('rpc-1#1', ...outage, { ...settled, status: 'already' })).toBeNull()
    expect(reasonFor('rpc-1#1', ...outage, { ...settled, t: 6500, status: 'already' })).toBe(OUTAGE)
    expect(reasonFor('rpc-1#1', ...outage, { ...settled, t: 6500, status: 'ok' })).toBeNull()
  })
})

function voided(): Told[] {
  const [begin, end] = fault('connections', 'rpc', 1500, 5000)
  if (begin?.what !== 'fault' || end === undefined) throw new Error('a fault has a begin and an end')
  return [begin, { ...begin, t: 1501, phase: 'void' }, end, failed('rpc-1#1', 2000)]
}
