/** A message that takes its process along whenever it runs, in good company; the worker is restarted as pm2 would. */
import { readFileSync } from 'node:fs'
import { afterEach, describe, expect, inject, test } from 'vitest'
import { until } from '../support/worker.ts'
import { type Bench, openBench, type WorkerProcess } from './bench.ts'

const GOOD = 499
const POISON = 250
const VISIBILITY_TIMEOUT_SECONDS = 3
/**
 * The bound: after each of the two deaths one visibility timeout and one start of the worker, then the suspects one
 * by one, then the poison's attempts with their backoffs and one start of the child each. Here that is 2 x (3 s + 2 s)
 * + 500 x 20 ms + 3 x (0.5 s + 1 s), about 25 s; a busy machine gets four times that.
 */
const LIMIT_MS = 100_000

describe.each(['rpc', 'postgres'] as const)('a worker process over %s', (kind) => {
  let bench: Bench
  let restarting = true
  afterEach(() => {
    restarting = false
    return bench.close()
  })

  test('dead-letters the one poison among 499 good messages, and dies at most twice', {
    timeout: 150_000,
  }, async () => {
    bench = await openBench(kind, inject('stack'))
    restarting = true
    const messages = Array.from({ length: GOOD + 1 }, (_, n) => ({ n, mode: n === POISON ? 'exits' : 'ok' }))
    await bench.send(messages)
    const workers: WorkerProcess[] = []
    const keepAlive = async () => {
      while (restarting) {
        const worker = bench.start({
          concurrency: 50,
          visibilityTimeoutSeconds: VISIBILITY_TIMEOUT_SECONDS,
          maxAttempts: 3,
          isolates: true,
        })
        workers.push(worker)
        await worker.exited
      }
    }
    const kept = keepAlive()
    await until('the queue is empty', async () => (await bench.waitingCount()) === 0, LIMIT_MS)
    restarting = false
    expect(workers.at(-1)?.isGone).toBe(false)

    const dead = await bench.look.deadLetters(bench.queue)
    expect(dead.map(({ message }) => (message.message as { n: number }).n)).toEqual([POISON])
    expect(dead[0]?.message.dead_letter).toMatchObject({
      reason: 'attempts_exhausted',
      attempts: 3,
      error: expect.stringContaining('ended its process (exit code 1)'),
    })
    const archived = (await bench.look.archived(bench.queue)).map(
      ({ message }) => (message as { n: number }).n,
    )
    expect(archived.toSorted((a, b) => a - b)).toEqual(messages.map(({ n }) => n).filter((n) => n !== POISON))

    // Who died: the worker at the first two runs, children at those that followed.
    const runs = (await bench.journal('start')).filter(({ n }) => n === POISON)
    const pids = workers.map(({ pid }) => pid)
    expect(workers.length - 1).toBeLessThanOrEqual(2)
    expect(runs.filter(({ pid }) => pids.includes(pid)).length).toBe(workers.length - 1)
    const alone = runs.filter(({ pid }) => !pids.includes(pid))
    expect(alone).toHaveLength(3)
    expect(new Set(alone.map(({ pid }) => pid)).size).toBe(3)
    workers.at(-1)?.signal('SIGTERM')
    expect(await workers.at(-1)?.exited).toEqual({ code: 0, signal: null })
    await kept
  })

  test('ends its child with it, even one that is caught in an endless loop', async () => {
    bench = await openBench(kind, inject('stack'))
    await bench.send([{ n: 1, mode: 'spins' }])
    const orders = { visibilityTimeoutSeconds: 2, isolates: true }
    for (const round of [1, 2]) {
      const worker = bench.start(orders)
      await until('it spins', async () => (await bench.journalCount('start')) === round, 60_000)
      worker.signal('SIGKILL')
      await worker.exited
    }
    const worker = bench.start(orders)
    await until('it spins alone', async () => (await bench.journalCount('start')) === 3, 60_000)
    const child = (await bench.journal('start')).at(-1)?.pid ?? 0
    expect(child).not.toBe(worker.pid)
    expect(isRunning(child)).toBe(true)
    try {
      worker.signal('SIGKILL')
      await worker.exited
      await until('the child is gone', () => !isRunning(child))
    } finally {
      if (isRunning(child)) process.kill(child, 'SIGKILL')
    }
  })
})

function isRunning(pid: number): boolean {
  try {
    // A process whose end nobody has asked for yet does nothing any more.
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}
