/** Settling: what each outcome does, and what a batch of them answers. */
import { expect, test } from 'vitest'
import type { Settlement } from '../../../src/queue/contract.ts'
import type { Suite } from '../../support/bench.ts'
import { outcomeKinds, outcomes, settling } from '../../support/bench.ts'

export const settleSuite: Suite = (bench) => {
  test('each outcome does what it says and leaves the other messages alone', async () => {
    const name = await bench().newQueue(outcomeKinds.length + 1)
    const messages = await bench().read(name)
    const settlements = outcomeKinds.map((kind, i) => settling(messages[i] ?? expect.fail(), kind))
    const results = await bench().queue.settle(settlements, 'worker-1')
    expect(results).toEqual(outcomeKinds.map(() => ({ status: 'ok' })))
    const id = (kind: string) => messages[outcomeKinds.indexOf(kind as never)]?.msgId
    const { look, sql } = bench()
    expect((await look.archived(name)).map(({ msg_id, read_ct }) => [msg_id, read_ct])).toEqual([
      [id('archive'), 1],
    ])
    expect((await look.deadLetters(name)).map(({ message }) => message.dead_letter.msg_id)).toEqual([
      Number(id('dead')),
    ])
    const left =
      await sql`select msg_id, extract(epoch from vt - now())::float8 as hidden from ${look.table('q', name)} order by 1`
    expect(left.map(({ msg_id }) => msg_id)).toEqual([
      id('retry'),
      id('release'),
      id('snooze'),
      messages.at(-1)?.msgId,
    ])
    const hidden = new Map(left.map((row) => [row.msg_id, row.hidden]))
    expect(hidden.get(id('release'))).toBeLessThanOrEqual(0.1)
    expect(hidden.get(id('retry'))).toSatisfy((s: number) => s > 30 && s <= 60)
    expect(hidden.get(id('snooze'))).toSatisfy((s: number) => s > 30 && s <= 60)
    expect(
      (await look.outcomes(name)).map(({ msg_id, delivery, outcome, error }) => [
        msg_id,
        delivery,
        outcome,
        error,
      ]),
    ).toEqual([
      [id('retry'), 1, 'retry', 'it failed'],
      [id('dead'), 1, 'dead', 'it can never work'],
      [id('release'), 1, 'release', null],
      [id('snooze'), 1, 'snooze', null],
    ])
  })

  test('failures and interruptions are told apart over the deliveries of a message', async () => {
    const name = await bench().newQueue(1)
    const history = []
    for (const kind of ['retry', null, 'release', 'snooze', 'retry', null] as const) {
      const message = await bench().readOne(name)
      history.push([message.delivery, message.failures, message.interruptions])
      if (kind !== null) await bench().queue.settle([settling(message, kind)], 'worker-1')
      await bench().look.expire(name)
    }
    const last = await bench().readOne(name)
    expect(history).toEqual([
      [1, 0, 0],
      [2, 1, 0],
      [3, 1, 1],
      [4, 1, 1],
      [5, 1, 1],
      [6, 2, 1],
    ])
    expect(last).toMatchObject({ delivery: 7, failures: 2, interruptions: 2 })
  })

  test('a batch over several queues is answered in the order it was sent', async () => {
    const [a, b] = [await bench().newQueue(3), await bench().newQueue(3)]
    const [inA, inB] = [await bench().read(a), await bench().read(b)]
    const stale = { ...(inA[2] ?? expect.fail()), delivery: 7 }
    const batch: Settlement[] = [
      settling(inB[2] ?? expect.fail(), 'archive'),
      settling(stale, 'archive'),
      settling(inA[1] ?? expect.fail(), 'delete'),
      settling(inB[0] ?? expect.fail(), 'retry'),
      settling(inA[0] ?? expect.fail(), 'archive'),
      settling({ ...(inB[1] ?? expect.fail()), msgId: '999999' }, 'delete'),
      settling({ ...(inB[1] ?? expect.fail()), queue: 'no_such_queue' }, 'archive'),
    ]
    const statuses = (await bench().queue.settle(batch, 'worker-1')).map(({ status }) => status)
    expect(statuses).toEqual(['ok', 'lost', 'ok', 'ok', 'ok', 'gone', 'lost'])
    expect(await bench().queue.settle([], 'worker-1')).toEqual([])
  })

  test('one delivery settled twice in one call acts once, and the first of two outcomes wins', async () => {
    const name = await bench().newQueue(4)
    const [a, b, c, d] = await bench().read(name)
    if (!a || !b || !c || !d) return expect.fail()
    const twice = [
      settling(a, 'archive'),
      settling(a, 'archive'),
      settling(b, 'retry'),
      settling(b, 'retry'),
      settling(c, 'delete'),
      settling(c, 'delete'),
      settling(d, 'release'),
      settling(d, 'archive'),
    ]
    const statuses = (await bench().queue.settle(twice, 'worker-1')).map(({ status }) => status)
    expect(statuses).toEqual(['ok', 'already', 'ok', 'already', 'ok', 'gone', 'ok', 'lost'])
    expect(await bench().look.archived(name)).toHaveLength(1)
  })

  test('error texts that no jsonb can hold, and endless delays, block nobody', async () => {
    const name = await bench().newQueue(2)
    const [a, b] = await bench().read(name)
    if (!a || !b) return expect.fail()
    const results = await bench().queue.settle(
      [
        settling(a, { kind: 'retry', delayMs: 1, error: `NUL \u0000, half \ud83d, ${'long '.repeat(5000)}` }),
        settling(b, { kind: 'snooze', delayMs: 1e18 }),
      ],
      'worker-1',
    )
    expect(results).toEqual([{ status: 'ok' }, { status: 'ok' }])
    const [recorded] = await bench().look.outcomes(name)
    expect(recorded?.error).toMatch(/^NUL \uFFFD, half \uFFFD, long /)
    expect(recorded?.error).toHaveLength(8000)
  })

  test('settled deliveries are counted in the stats of their minute, with their times', async () => {
    const name = await bench().newQueue(outcomeKinds.length)
    const messages = await bench().read(name)
    const batch = messages.map((receipt, i) => ({
      receipt,
      outcome: outcomes[outcomeKinds[i] ?? 'archive'],
      ranMs: 10 * (i + 1),
      waitedMs: 5,
    }))
    await bench().queue.settle(batch, 'worker-1')
    await bench().queue.settle(batch, 'worker-1')
    const [sums] = await bench().sql`
      select sum(archived)::int as archived, sum(deleted)::int as deleted, sum(retried)::int as retried, sum(dead)::int as dead,
        sum(released)::int as released, sum(snoozed)::int as snoozed, sum(ran_ms) as ran_ms, max(ran_ms_max) as ran_ms_max,
        sum(waited_ms) as waited_ms from queue_worker.stats where queue = ${name}`
    expect(sums).toEqual({
      archived: 1,
      deleted: 1,
      retried: 1,
      dead: 1,
      released: 1,
      snoozed: 1,
      ran_ms: 210,
      ran_ms_max: 60,
      waited_ms: 30,
    })
  })
}
