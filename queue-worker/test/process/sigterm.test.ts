/** SIGTERM to a worker process, in every situation it may be in. */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { afterEach, describe, expect, inject, test } from 'vitest'
import { untilBlockedBy } from '../support/queues.ts'
import { until } from '../support/worker.ts'
import { type Bench, openBench } from './bench.ts'

describe.each(['rpc', 'postgres'] as const)('SIGTERM to a worker process over %s', (kind) => {
  let bench: Bench
  afterEach(() => bench.close())

  /** Everything left in the queue can be read at once, and no budget of it was touched. */
  async function expectAllVisibleAndUncharged(count: number): Promise<void> {
    const demand = { queue: bench.queue, limit: 500, visibilityTimeoutSeconds: 1 }
    const { messages } = await bench.typed.read([demand], 8_000_000)
    expect(messages).toHaveLength(count)
    for (const message of messages) expect(message).toMatchObject({ failures: 0, interruptions: 0 })
  }

  test('lets 100 running tasks of 2 s finish, and exits with 0', async () => {
    bench = await openBench(kind, inject('stack'))
    await bench.send(Array.from({ length: 100 }, (_, n) => ({ n, ms: 2000 })))
    const worker = bench.start({ concurrency: 100 })
    await until('all run', async () => (await bench.journalCount('start')) === 100)
    worker.signal('SIGTERM')
    expect(await worker.exited).toEqual({ code: 0, signal: null })
    expect(await bench.journalCount('end')).toBe(100)
    expect(await bench.archivedCount()).toBe(100)
    await expectAllVisibleAndUncharged(0)
    expect(worker.errors).toEqual([])
  })

  test('gives back what does not finish within the drain limit, and what was read but not begun', async () => {
    bench = await openBench(kind, inject('stack'))
    // Fast ones first, so that it learns to read ahead; then slow ones, which pile up in its buffer.
    await bench.send(Array.from({ length: 300 }, (_, n) => ({ n, ms: n < 200 ? 0 : 120_000 })))
    const worker = bench.start({ concurrency: 5, drainTimeoutMs: 300 })
    await until('slow ones run', async () => (await bench.journalCount('start')) >= 205)
    worker.signal('SIGTERM')
    expect(await worker.exited).toEqual({ code: 0, signal: null })
    const stopping = worker.lines.find((line) => line.name === 'stopping')
    expect(stopping?.running).toBe(5)
    expect(stopping?.buffered).toBeGreaterThan(0)
    expect(await bench.archivedCount()).toBe(200)
    expect(await bench.look.deadLetters(bench.queue)).toEqual([])
    await expectAllVisibleAndUncharged(100)
  })

  test('ten restarts in a row dead-letter nothing and lose nothing', { timeout: 180_000 }, async () => {
    bench = await openBench(kind, inject('stack'))
    await bench.send(Array.from({ length: 60 }, (_, n) => ({ n, ms: 400 })))
    for (let restart = 0; restart < 10; restart += 1) {
      const before = await bench.journalCount('start')
      const worker = bench.start({ concurrency: 5, drainTimeoutMs: 50 })
      await until('it runs something', async () => (await bench.journalCount('start')) > before)
      worker.signal('SIGTERM')
      expect(await worker.exited).toEqual({ code: 0, signal: null })
    }
    const outcomes = await bench.look.outcomes(bench.queue)
    expect(outcomes.length).toBeGreaterThan(0)
    expect(new Set(outcomes.map(({ outcome }) => outcome))).toEqual(new Set(['release']))
    const worker = bench.start({ concurrency: 60 })
    await until('all are archived', async () => (await bench.archivedCount()) === 60)
    expect(await bench.look.deadLetters(bench.queue)).toEqual([])
    expect(worker.lines.filter((line) => line.name === 'returned')).toEqual([])
  })

  test('while a read is in flight waits for it and gives back what it brings', async () => {
    bench = await openBench(kind, inject('stack'))
    const worker = bench.start()
    await worker.says('started')
    const locker = await bench.sql.reserve()
    await locker`begin`
    const [own] = await locker`select pg_backend_pid() as pid`
    await locker.unsafe(`lock table pgmq.q_${bench.queue} in access exclusive mode`)
    await locker`select pgmq.send_batch(${bench.queue}::text, array['{"n": 1}', '{"n": 2}']::jsonb[])`
    // Due before any read that is blocked by now.
    await locker.unsafe(`update pgmq.q_${bench.queue} set vt = vt - interval '1 minute' where true`)
    await untilBlockedBy(bench.sql, Number(own?.pid))
    worker.signal('SIGTERM')
    await worker.says('stopping')
    await locker`commit`
    locker.release()
    expect(await worker.exited).toEqual({ code: 0, signal: null })
    expect(await bench.journalCount('start')).toBe(0)
    // The read did bring them: they were given back, not left alone.
    expect((await bench.look.outcomes(bench.queue)).map(({ outcome }) => outcome)).toEqual([
      'release',
      'release',
    ])
    await expectAllVisibleAndUncharged(2)
  })

  test('a second time does not wait for the drain limit, nor for what ignores its abort', async () => {
    bench = await openBench(kind, inject('stack'))
    await bench.send([
      { n: 1, ms: 60_000 },
      { n: 2, ms: 20_000, mode: 'ignores' },
    ])
    const worker = bench.start({ drainTimeoutMs: 600_000 })
    await until('both run', async () => (await bench.journalCount('start')) === 2)
    worker.signal('SIGTERM')
    await worker.says('stopping')
    worker.signal('SIGTERM')
    await worker.says('done')
    // Both are back long before the one that ignores its abort has ended.
    await expectAllVisibleAndUncharged(2)
    expect(await bench.journalCount('end')).toBe(0)
    worker.signal('SIGKILL')
  })

  test('before the database has answered ends it at once, with 0', async () => {
    bench = await openBench(kind, inject('stack'))
    const sockets = new Set<Socket>()
    const silent = createServer((socket) => void sockets.add(socket.on('error', () => {})))
    await once(silent.listen(0, '127.0.0.1'), 'listening')
    const { port } = silent.address() as AddressInfo
    try {
      const connection =
        kind === 'rpc'
          ? ({ kind, url: `http://127.0.0.1:${port}`, key: 'sb_secret_none' } as const)
          : ({ kind, url: `postgresql://nobody:none@127.0.0.1:${port}/none` } as const)
      const worker = bench.start({ connection })
      await worker.says('booted')
      await until('it has connected', () => sockets.size > 0)
      worker.signal('SIGTERM')
      expect(await worker.exited).toEqual({ code: 0, signal: null })
      expect(worker.errors).toEqual([])
      expect(worker.lines.map(({ name }) => name)).not.toContain('started')
    } finally {
      for (const socket of sockets) socket.destroy()
      silent.close()
    }
  })
})
