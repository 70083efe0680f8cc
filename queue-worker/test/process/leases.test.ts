/** What two worker processes do about one message that both get hold of, and what becomes of suspects. */
import { afterEach, describe, expect, inject, test } from 'vitest'
import { until } from '../support/worker.ts'
import { type Bench, openBench } from './bench.ts'

describe.each(['rpc', 'postgres'] as const)('worker processes over %s', (kind) => {
  let bench: Bench
  afterEach(() => bench.close())

  test('blocked for longer than its lease, one does nothing more with the message another has taken', async () => {
    bench = await openBench(kind, inject('stack'))
    const orders = { visibilityTimeoutSeconds: 2 }
    const blocked = bench.start(orders)
    await blocked.says('started')
    await bench.send([{ n: 1, mode: 'blocks', ms: 12_000 }])
    await until('it is blocked', async () => (await bench.journalCount('start')) === 1)
    const other = bench.start(orders)
    await until('the other one has done it', async () => (await bench.archivedCount()) === 1)
    expect(blocked.lines.map(({ name }) => name)).not.toContain('leaseLost')
    await blocked.says('leaseLost')
    for (const worker of [blocked, other]) worker.signal('SIGTERM')
    for (const worker of [blocked, other]) expect(await worker.exited).toEqual({ code: 0, signal: null })
    const effects = await bench.journal('effect')
    expect(effects.map(({ pid }) => pid)).toEqual([other.pid])
    expect((await bench.journal('end')).map(({ pid }) => pid)).toEqual([other.pid])
    expect(await bench.look.outcomes(bench.queue)).toEqual([])
    const [row] = await bench.look.archived(bench.queue)
    expect(row?.read_ct).toBe(2)
  })

  test('killed with the probe of a breaker, a worker holds up the queue until its lease is over, and no longer', async () => {
    bench = await openBench(kind, inject('stack'))
    const breaker = async () => (await bench.typed.counts([bench.queue]))[0]?.breaker
    const doomed = bench.start({ concurrency: 1, visibilityTimeoutSeconds: 600 })
    await doomed.says('started')
    await bench.send([{ n: 1, mode: 'outage_first' }])
    await until('its breaker is open', async () => (await breaker())?.state === 'open')
    // The longest due is the probe.
    await bench.send([{ n: 2, mode: 'waits_first' }, { n: 3 }, { n: 4 }])
    await bench.look.pass(bench.queue, 1000)
    await until('the probe runs', async () => (await bench.journal('start')).at(-1)?.n === 2)
    doomed.signal('SIGKILL')
    await doomed.exited
    const other = bench.start({ concurrency: 3 })
    await other.says('started')
    await bench.look.expire(bench.queue)
    await until('all are archived', async () => (await bench.archivedCount()) === 4)
    expect(await breaker()).toBeNull()
    const starts = await bench.journal('start')
    expect(starts.slice(0, 2).map(({ n, pid }) => [n, pid])).toEqual([
      [1, doomed.pid],
      [2, doomed.pid],
    ])
    expect(starts.slice(2).every(({ pid }) => pid === other.pid)).toBe(true)
    expect((await bench.look.outcomes(bench.queue)).map(({ outcome }) => outcome)).toEqual(['snooze'])
    other.signal('SIGTERM')
    expect(await other.exited).toEqual({ code: 0, signal: null })
  })

  test('suspects run one after the other in one child, uncharged where they succeed', async () => {
    bench = await openBench(kind, inject('stack'))
    await bench.send(Array.from({ length: 12 }, (_, n) => ({ n, ms: 50 })))
    await bench.makeSuspects(12)
    // While they wait for their turn their leases run out, unless they are extended.
    const worker = bench.start({ isolates: true, visibilityTimeoutSeconds: 1 })
    await until('all are archived', async () => (await bench.archivedCount()) === 12)
    const journal = await bench.journal()
    expect(journal.map(({ what }) => what)).toEqual(
      Array.from({ length: 24 }, (_, at) => (at % 2 ? 'end' : 'start')),
    )
    expect(new Set(journal.map(({ pid }) => pid)).size).toBe(1)
    expect(journal[0]?.pid).not.toBe(worker.pid)
    for (const row of await bench.look.archived(bench.queue)) expect(row.read_ct).toBe(3)
    worker.signal('SIGTERM')
    expect(await worker.exited).toEqual({ code: 0, signal: null })
  })

  test('a suspect that never ends is killed at its time limit, and the next one runs', async () => {
    bench = await openBench(kind, inject('stack'))
    await bench.send([{ n: 1, mode: 'spins' }, { n: 2 }])
    await bench.makeSuspects(2)
    bench.start({ isolates: true, timeoutMs: 500, maxAttempts: 1 })
    await until('the queue is empty', async () => (await bench.waitingCount()) === 0)
    const [dead, ...others] = await bench.look.deadLetters(bench.queue)
    expect(others).toEqual([])
    expect(dead?.message.message).toMatchObject({ n: 1 })
    expect(dead?.message.dead_letter.error).toContain('time limit of 500 ms')
    expect((await bench.journal('end')).map(({ n }) => n)).toEqual([2])
  })

  test('at a stop, the suspect that runs may finish, and those that wait for their turn are given back', async () => {
    bench = await openBench(kind, inject('stack'))
    await bench.send(Array.from({ length: 5 }, (_, n) => ({ n, ms: 3000 })))
    await bench.makeSuspects(5)
    const worker = bench.start({ isolates: true, drainTimeoutMs: 60_000 })
    await until('one runs', async () => (await bench.journalCount('start')) === 1)
    worker.signal('SIGTERM')
    expect(await worker.exited).toEqual({ code: 0, signal: null })
    expect([await bench.journalCount('start'), await bench.archivedCount()]).toEqual([1, 1])
    const demand = { queue: bench.queue, limit: 500, visibilityTimeoutSeconds: 1 }
    const { messages } = await bench.typed.read([demand], 8_000_000)
    expect(messages).toHaveLength(4)
    for (const message of messages)
      expect(message).toMatchObject({ failures: 0, interruptions: 2, diedAlone: 0 })
  })
})
