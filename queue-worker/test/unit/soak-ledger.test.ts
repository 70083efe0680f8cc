/** The ledger of a soak finds what was planted: a check that cannot fail proves nothing. */
import { describe, expect, test } from 'vitest'
import type { Resting } from '../../../soak/evidence.ts'
import type { Note } from '../../../soak/journal.ts'
import { QUEUES } from '../../../soak/kinds.ts'
import { draw, found, gone, goodWorld, reading, run, withLines, without } from './soak-world.ts'

describe('the ledger of a soak', () => {
  test('counts a run in which all went well, and finds nothing wrong', () => {
    const ledger = draw(goodWorld())
    expect(ledger.defects).toEqual([])
    expect(ledger).toMatchObject({
      sent: 7,
      followUps: 1,
      rolledBack: 1,
      archived: 6,
      deleted: 1,
      dead: { invalid_payload: 1 },
      lost: 0,
      doubled: { messages: 1, byReason: { 'failed, and was retried': 1 } },
      effects: { transaction: 1, hold: 1, held: 0, repeat: 1, repeatAgain: 0 },
    })
  })

  test('finds a message that is nowhere, sent in SQL as well as by the producer', () => {
    const world = without(goodWorld(), 1)
    expect(found(world)).toEqual(['lost 1'])
    expect(draw(world).lost).toBe(1)
    expect(found(without(goodWorld(), 4))).toContain('lost 4')
  })

  test('finds a message whose confirmed commit vanished together with the row of its order', () => {
    const world = withLines(without(goodWorld(), 1), { what: 'sent', by: 'soak', n: 1, sentAs: 'order' })
    const orders = world.evidence.orders.filter((n) => n !== 1)
    const vanished = { ...world, evidence: { ...world.evidence, orders } }
    expect(found(vanished)).toEqual(['lost 1', 'lost 1'])
    expect(draw(vanished)).toMatchObject({ sent: 7, lost: 1 })
    const orderOnly = withLines(goodWorld(), { what: 'sent', by: 'soak', n: 1, sentAs: 'order' })
    expect(found({ ...orderOnly, evidence: { ...orderOnly.evidence, orders } })).toEqual(['lost 1'])
  })

  test('counts no fault that found nothing to strike, and tells when messages were given back', () => {
    const fault = { what: 'fault' as const, by: 'soak', kind: 'freeze', target: 'rpc-1' }
    const world = withLines(
      goodWorld(),
      { ...fault, id: 0, kind: 'mend', phase: 'begin' },
      { ...fault, id: 1, phase: 'begin' },
      { ...fault, id: 2, phase: 'begin' },
      { ...fault, id: 2, phase: 'void' },
      gone('rpc-1#1', { asked: 'SIGTERM', code: 0 }),
    )
    expect(draw(world).faults).toEqual({ freeze: 1 })
    const outcomes = [{ queue: QUEUES.work, msgId: '1', delivery: 1, outcome: 'release' as const }]
    expect(draw({ ...world, evidence: { ...world.evidence, outcomes } }).released).toEqual({
      'its worker stopped, in the middle of its run': 1,
    })
  })

  test('finds a deleted message that no run ended', () => {
    const world = goodWorld()
    const journal = world.journal.filter((line) => !(line.what === 'end' && line.n === 2))
    expect(found({ ...world, journal })).toContain('lost 2')
  })

  test('finds a follow-up that was not sent, or sent twice', () => {
    const world = goodWorld()
    const [follow] = world.evidence.resting.filter(({ kind }) => kind === 'follow')
    const others = world.evidence.resting.filter((one) => one !== follow)
    expect(found({ ...world, evidence: { ...world.evidence, resting: others } })).toEqual(['lost 4>follow'])
    const twice = [...world.evidence.resting, ...(follow ? [{ ...follow, msgId: '99' }] : [])]
    expect(found({ ...world, evidence: { ...world.evidence, resting: twice } })).toEqual([
      'in two places 4>follow',
    ])
  })

  test('finds a message that was archived unrun, one that is still there, one that ended as it must not', () => {
    const world = goodWorld()
    const place = (n: number, rest: Partial<Resting>) => ({
      ...world,
      evidence: {
        ...world.evidence,
        resting: world.evidence.resting.map((one) => (one.n === n ? { ...one, ...rest } : one)),
      },
    })
    const journal = world.journal.filter((line) => !(line.what === 'end' && line.n === 1))
    expect(found({ ...world, journal })).toEqual(['settled unrun 1'])
    expect(found(place(1, { where: 'queue' }))).toEqual(['stuck 1'])
    expect(found(place(1, { where: 'dead', reason: 'attempts_exhausted' }))).toEqual(['wrong end 1'])
    expect(found(place(7, { where: 'archive' }))).toContain('wrong end 7')
  })

  test('finds effects of transactions that are missing or done twice', () => {
    for (const effects of [[], [4, 4]]) {
      const world = goodWorld()
      expect(found({ ...world, evidence: { ...world.evidence, effects } })).toEqual(['effects 4'])
    }
  })

  test('finds an effect of a dead message', () => {
    const world = without(goodWorld(), 4)
    const dead: Resting = {
      n: 4,
      kind: 'transaction_sends',
      queue: QUEUES.transact,
      msgId: '4',
      where: 'dead',
      deliveries: 1,
      reason: 'unrecoverable',
    }
    const evidence = { ...world.evidence, resting: [...world.evidence.resting, dead] }
    expect(found({ ...world, evidence })).toContain('effects 4')
  })

  test('finds a step with "hold" that was done twice, and allows it to one with "repeat" with the same key', () => {
    expect(found(withLines(goodWorld(), run(5, 'hold', 'effect')))).toEqual(['effects 5'])
    const repeated = withLines(goodWorld(), run(6, 'repeat', 'effect'))
    expect(found(repeated)).toEqual([])
    expect(draw(repeated).effects.repeatAgain).toBe(1)
    expect(found(withLines(goodWorld(), run(6, 'repeat', 'effect', 'rpc-1#1', 'other')))).toEqual([
      'effects 6',
    ])
  })

  test('finds a message that was rolled back and ran all the same, or lies somewhere', () => {
    expect(found(withLines(goodWorld(), run(8, 'quick', 'start')))).toContain('never sent, but there 8')
    const world = goodWorld()
    const ghost: Resting = {
      n: 8,
      kind: 'quick',
      queue: QUEUES.work,
      msgId: '8',
      where: 'archive',
      deliveries: 1,
    }
    const evidence = { ...world.evidence, resting: [...world.evidence.resting, ghost] }
    expect(found({ ...world, evidence })).toEqual(['never sent, but there 8'])
  })

  test('finds a run that was repeated for no reason', () => {
    const again = [reading(1, 'quick', 2, 'rpc-2#1'), run(1, 'quick', 'start', 'rpc-2#1')]
    expect(found(withLines(goodWorld(), ...again))).toEqual(['unexplained double 1'])
  })

  test('finds a second run of one delivery, and one without a delivery', () => {
    expect(found(withLines(goodWorld(), run(1, 'quick', 'start')))).toEqual(['unexplained double 1'])
    expect(found(withLines(goodWorld(), run(1, 'quick', 'start', 'rpc-2#1')))).toEqual([
      'unexplained double 1',
    ])
  })

  test('finds a worker that died by itself, and what the processes found on the way', () => {
    expect(found(withLines(goodWorld(), gone('rpc-2#1', { code: 1 })))).toEqual(['worker died by itself'])
    expect(found(withLines(goodWorld(), gone('rpc-2#1', { asked: 'SIGTERM', code: 1 })))).toEqual([
      'worker died by itself',
    ])
    expect(found(withLines(goodWorld(), gone('rpc-2#1', { asked: 'SIGTERM', code: 0 })))).toEqual([])
    const ended = gone('rpc-2#1', { asked: 'SIGTERM', signal: 'SIGTERM' })
    expect(found(withLines(goodWorld(), ended))).toEqual([])
    expect(found(withLines(goodWorld(), { what: 'born', by: 'rpc-2#1', pid: 1 }, ended))).toEqual([
      'worker died by itself',
    ])
    expect(found(withLines(goodWorld(), { what: 'wrong', by: 'soak', text: 'one key, two ids' }))).toEqual([
      'other',
    ])
    expect(found(withLines(goodWorld(), run(1, 'quick', 'early')))).toEqual(['too early 1'])
    const redriven = { ...run(1, 'quick', 'early'), msgId: '99' } as Note & { by: string }
    expect(found(withLines(goodWorld(), redriven))).toEqual([])
  })

  test('finds stats that do not fit', () => {
    const world = goodWorld()
    expect(found({ ...world, evidence: { ...world.evidence, deleted: 2 } })).toEqual(['counted wrongly'])
  })
})
