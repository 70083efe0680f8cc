/** Two workers and ten thousand messages, undisturbed and then killed again and again. */
import { afterEach, describe, expect, inject, test } from 'vitest'
import { until } from '../support/worker.ts'
import { type Bench, openBench, type WorkerProcess } from './bench.ts'

const MESSAGES = 10_000
const KILLS = 10
const all = Array.from({ length: MESSAGES }, (_, n) => n)

describe.each(['rpc', 'postgres'] as const)('two worker processes over %s', (kind) => {
  let bench: Bench
  afterEach(() => bench.close())

  test('run each of 10,000 messages once', { timeout: 240_000 }, async () => {
    bench = await openBench(kind, inject('stack'))
    await bench.send(all.map((n) => ({ n })))
    const workers = [bench.start({ concurrency: 20 }), bench.start({ concurrency: 20 })]
    await until('all are archived', async () => (await bench.archivedCount()) === MESSAGES, 200_000)
    const ends = (await bench.journal('end')).map(({ n }) => n)
    expect(ends.toSorted((a, b) => a - b)).toEqual(all)
    expect(new Set((await bench.journal('start')).map(({ pid }) => pid)).size).toBe(2)
    expect(await bench.journalCount('start')).toBe(MESSAGES)
    for (const worker of workers) worker.signal('SIGTERM')
    for (const worker of workers) expect(await worker.exited).toEqual({ code: 0, signal: null })
  })

  test('killed ten times each lose nothing, and repeat only what was in flight at a kill', {
    timeout: 300_000,
  }, async () => {
    bench = await openBench(kind, inject('stack'))
    await bench.send(all.map((n) => ({ n, ms: 1 })))
    const orders = { concurrency: 20, visibilityTimeoutSeconds: 5 }
    const inFlightAtKill = new Map<number, Set<number>>()
    const slots = [bench.start(orders), bench.start(orders)]

    async function kill(worker: WorkerProcess): Promise<void> {
      // Frozen first: what is unsettled now, is what was in flight when it was killed.
      worker.signal('SIGSTOP')
      inFlightAtKill.set(worker.pid, await bench.inFlight())
      worker.signal('SIGKILL')
      expect(await worker.exited).toMatchObject({ signal: 'SIGKILL' })
    }

    for (let round = 1; round <= KILLS; round += 1) {
      for (const [index, worker] of slots.entries()) {
        await until(
          'it has run something',
          async () =>
            (
              await bench.sql.unsafe(
                `select 1 from queue_worker_test.journal_${bench.queue} where pid = ${worker.pid} limit 1`,
              )
            ).length > 0,
          60_000,
        )
        await kill(worker)
        slots[index] = bench.start(orders)
      }
    }
    expect(await bench.archivedCount()).toBeLessThan(MESSAGES)
    await until('all are archived', async () => (await bench.archivedCount()) === MESSAGES, 200_000)
    expect(await bench.waitingCount()).toBe(0)
    const archived = (await bench.look.archived(bench.queue)).map(
      ({ message }) => (message as { n: number }).n,
    )
    expect(archived.toSorted((a, b) => a - b)).toEqual(all)
    expect(inFlightAtKill.size).toBe(2 * KILLS)

    // Every run but the last of a message was one of a process that was killed before the message was settled.
    const starts = Map.groupBy(await bench.journal('start'), ({ n }) => n)
    expect(starts.size).toBe(MESSAGES)
    const repeated = [...starts.values()].filter((runs) => runs.length > 1)
    const unexplained = repeated.flatMap((runs) =>
      runs.slice(0, -1).filter(({ n, pid }) => !inFlightAtKill.get(pid)?.has(n)),
    )
    expect(unexplained).toEqual([])
    expect(repeated.length).toBeGreaterThan(0)
  })
})
