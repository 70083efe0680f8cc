/**
 * A worker process that is killed at each await between reading a message and having settled it; another one takes
 * over. The table in docs/failures.md names these tests.
 */
import { afterEach, describe, expect, inject, test } from 'vitest'
import { until } from '../support/worker.ts'
import { type Bench, openBench } from './bench.ts'
import type { DeathPoint, Orders } from './fixtures/orders.ts'

type Case = {
  readonly name: string
  readonly dieAt?: DeathPoint
  readonly message?: object
  /** How often the processor began, and how often its effect happened. */
  readonly starts: number
  readonly effects?: number
  /** Null: the message was settled before the death. Else what its next delivery counts. */
  readonly interruptions: number | null
  readonly ends?: 'archived' | 'dead'
  readonly only?: 'postgres'
}

const dies = (call: string, when: 'before' | 'after'): DeathPoint => ({ call, when })

const cases: Case[] = [
  { name: 'before a read is sent', dieAt: dies('read', 'before'), starts: 1, interruptions: 0 },
  {
    name: 'after a read, before its answer is dealt with',
    dieAt: dies('read', 'after'),
    starts: 1,
    interruptions: 1,
  },
  { name: 'in the processor', message: { mode: 'dies' }, starts: 2, interruptions: 1 },
  {
    name: 'after a step was started in the ledger, before its effect',
    dieAt: dies('ledger_start', 'after'),
    message: { mode: 'once' },
    starts: 2,
    effects: 0,
    interruptions: 1,
    ends: 'dead',
  },
  {
    name: 'after the effect of a step, before the ledger has its result (held)',
    message: { mode: 'dies_in_once' },
    starts: 2,
    effects: 1,
    interruptions: 1,
    ends: 'dead',
  },
  {
    name: 'after the effect of a step, before the ledger has its result (repeated)',
    message: { mode: 'dies_in_once', uncertain: 'repeat' },
    starts: 2,
    effects: 2,
    interruptions: 1,
  },
  {
    name: 'after the ledger has the result of a step, before the answer is seen',
    dieAt: dies('ledger_finish', 'after'),
    message: { mode: 'once' },
    starts: 2,
    effects: 1,
    interruptions: 1,
  },
  {
    name: 'after a step is done, in the rest of the processor',
    message: { mode: 'dies_after_once' },
    starts: 2,
    effects: 1,
    interruptions: 1,
  },
  {
    name: 'after the outcome is known, before it is handed on',
    dieAt: { event: 'finished' },
    starts: 2,
    interruptions: 1,
  },
  { name: 'before a settle is sent', dieAt: dies('settle', 'before'), starts: 2, interruptions: 1 },
  {
    name: 'after a settle is done, before its answer is seen',
    dieAt: dies('settle', 'after'),
    starts: 1,
    interruptions: null,
  },
  { name: 'after a settle is answered', dieAt: { event: 'settled' }, starts: 1, interruptions: null },
  {
    name: 'in a transaction after its writes',
    message: { mode: 'transaction', dies: 'inside' },
    starts: 2,
    effects: 1,
    interruptions: 1,
    only: 'postgres',
  },
  {
    name: 'in a transaction after its settle, before the commit',
    dieAt: dies('settle', 'after'),
    message: { mode: 'transaction' },
    starts: 2,
    effects: 1,
    interruptions: 1,
    only: 'postgres',
  },
  {
    name: 'after a transaction has committed',
    message: { mode: 'transaction', dies: 'after' },
    starts: 1,
    effects: 1,
    interruptions: null,
    only: 'postgres',
  },
]

describe.each(['rpc', 'postgres'] as const)('a worker process over %s that is killed', (kind) => {
  let bench: Bench
  afterEach(() => bench.close())

  test.each(cases.filter(({ only }) => only === undefined || only === kind))('$name', async (one) => {
    bench = await openBench(kind, inject('stack'))
    await bench.send([{ n: 1, ...one.message }])
    const orders: Partial<Orders> = { visibilityTimeoutSeconds: 2, transacts: one.only === 'postgres' }
    const first = bench.start({ ...orders, ...(one.dieAt ? { dieAt: one.dieAt } : {}) })
    expect(await first.exited).toEqual({ code: null, signal: 'SIGKILL' })
    const second = bench.start(orders)
    await second.says('started')
    await until('the queue is empty', async () => (await bench.waitingCount()) === 0)

    const dead = await bench.look.deadLetters(bench.queue)
    expect([await bench.archivedCount(), dead.length]).toEqual(one.ends === 'dead' ? [0, 1] : [1, 0])
    if (one.ends === 'dead') expect(dead[0]?.message.dead_letter.error).toContain('its end is not known')
    expect(await bench.journalCount('start')).toBe(one.starts)
    expect(await bench.journalCount('effect')).toBe(one.effects ?? 0)
    const [row] = one.ends === 'dead' ? [] : await bench.look.archived(bench.queue)
    if (row) expect(row.read_ct).toBe((one.interruptions ?? 0) + 1)
    expect(second.lines.filter(({ name }) => name === 'returned')).toHaveLength(one.interruptions ?? 0)
  })
})
