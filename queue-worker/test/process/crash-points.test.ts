/**
 * A worker process that is killed at each await between reading a message and having settled it; another one takes
 * over. crash-points.cases.ts has the moments, and the table in docs/failures.md names them.
 */
import { describe, expect, inject, test, vi } from 'vitest'
import { until } from '../support/worker.ts'
import { type Bench, openBench } from './bench.ts'
import type { Case } from './crash-points.case.ts'
import { cases } from './crash-points.cases.ts'
import { nextQueue, type Orders } from './fixtures/orders.ts'

// Each has its own queue and processes, and mostly waits for them to start.
vi.setConfig({ maxConcurrency: 3 })

/** Long, so that no lease runs out on a busy machine; then time is moved by hand. */
const LEASE_SECONDS = 30
const SHORT_LEASE_SECONDS = 2
/** The others can be read at once. */
const HIDDEN: readonly Case['left'][] = ['hidden from the read', 'hidden from later on', 'put off']

describe.each(['rpc', 'postgres'] as const)('a worker process over %s that is killed', (kind) => {
  const here = cases.filter(({ only }) => only === undefined || only === kind)
  test.concurrent.for(here.map((one) => [one.name, one] as const))(
    '%s',
    async ([, one], { onTestFinished }) => {
      const bench = await openBench(kind, inject('stack'))
      onTestFinished(() => bench.close())
      if (one.sent !== undefined) await bench.addNextQueue()
      await bench.send([
        ...(one.others ?? []),
        { n: 1, ...(one.mode ? { mode: one.mode } : {}), ...one.message },
      ])
      if (one.suspect) await bench.makeSuspects(1)
      const orders: Partial<Orders> = {
        visibilityTimeoutSeconds: LEASE_SECONDS,
        transacts: one.only === 'postgres',
        isolates: one.suspect === true,
        ...one.orders,
      }
      await killed(bench, one, orders)
      expect(await left(bench, one.waits ? SHORT_LEASE_SECONDS : LEASE_SECONDS)).toBe(one.left)
      expect(await isolations(bench)).toEqual(one.isolated ?? [])
      if (one.sent !== undefined) expect(await sent(bench)).toHaveLength(one.sent)

      const second = bench.start(orders)
      await second.says('started')
      // Only now: a read that the killed one had sent off would take the message, and has come to its end by the time this one reads.
      if (!one.waits && HIDDEN.includes(one.left)) {
        await bench.look.pass(bench.queue, 1000)
        await bench.look.expire(bench.queue)
      }
      await until('the queue is empty', async () => (await bench.waitingCount()) === 0)
      second.signal('SIGTERM')
      expect(await second.exited).toEqual({ code: 0, signal: null })

      await hasEnded(bench, one)
      expect(second.lines.filter(({ name, n }) => name === 'returned' && n === 1)).toEqual(
        one.returned ? [{ name: 'returned', n: 1, ...one.returned }] : [],
      )
      expect(await isolations(bench)).toEqual([
        ...(one.isolated ?? []),
        ...(one.suspect ? [one.deliveries] : []),
      ])
      if (one.sent !== undefined)
        expect((await sent(bench)).map(({ message }) => message)).toEqual([{ n: 1 }])
    },
  )
})

/** The first worker, from its start to its death. */
async function killed(bench: Bench, one: Case, orders: Partial<Orders>): Promise<void> {
  const first = bench.start({
    ...orders,
    ...(one.dieAt ? { dieAt: one.dieAt } : {}),
    ...(one.waits ? { visibilityTimeoutSeconds: SHORT_LEASE_SECONDS } : {}),
    ...(one.told === 'stop' ? { drainTimeoutMs: 100 } : {}),
    diesOnceTold: one.told === 'die',
  })
  if (one.told) {
    await until('the processor runs', async () => (await bench.journalCount('start')) === 1)
    first.signal(one.told === 'stop' ? 'SIGTERM' : 'SIGUSR2')
  }
  expect(await first.exited).toEqual({ code: null, signal: 'SIGKILL' })
}

/** How the message is found after the death, by pgmq's own times. */
async function left({ sql, look, queue }: Bench, leaseSeconds: number): Promise<Case['left']> {
  const [row] = await sql`
    select read_ct, vt <= clock_timestamp() as is_visible, extract(epoch from vt - last_read_at)::float8 as seconds
    from ${look.table('q', queue)} where message ->> 'n' = '1'`
  if (row === undefined) return 'nothing'
  if (row.read_ct === 0) return 'untouched'
  if ((await look.outcomes(queue)).length > 0) return row.is_visible ? 'visible' : 'put off'
  return row.seconds === leaseSeconds ? 'hidden from the read' : 'hidden from later on'
}

/** It is in one place, was run and read as often as it should have been, and everything else is recorded. */
async function hasEnded(bench: Bench, one: Case): Promise<void> {
  const { look, queue } = bench
  const { ends = 'archived' } = one
  const dead = await look.deadLetters(queue)
  const others = one.others?.length ?? 0
  const archived = await look.archived(queue)
  expect([archived.length, dead.length]).toEqual([
    others + (ends === 'archived' ? 1 : 0),
    ends === 'dead' ? 1 : 0,
  ])
  const last = archived.find(({ message }) => (message as { n: number }).n === 1)
  expect(last?.read_ct).toBe(ends === 'archived' ? one.deliveries : undefined)
  if (ends === 'dead') {
    const expected = { reason: 'unrecoverable', attempts: 1, deliveries: one.deliveries }
    expect(dead[0]?.message.dead_letter).toMatchObject(expected)
    expect(dead[0]?.message.dead_letter.error).toContain(one.error)
  }
  const outcomes = (await look.outcomes(queue)).map(({ delivery, outcome }) => `${delivery} ${outcome}`)
  expect(outcomes).toEqual(one.outcomes ?? [])
  const journal = (await bench.journal()).filter(({ n }) => n === 1)
  const count = (what: string) => journal.filter((row) => row.what === what).length
  expect([count('start'), count('effect')]).toEqual([one.starts, one.effects ?? 0])
}

/** The deliveries that are marked as running alone. */
async function isolations({ sql, queue }: Bench): Promise<number[]> {
  const rows =
    await sql`select delivery from queue_worker.isolations where queue = ${queue} order by delivery`
  return rows.map(({ delivery }) => delivery)
}

const sent = ({ look, queue }: Bench) => look.messages(nextQueue(queue))
