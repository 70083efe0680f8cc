/** Rate limits: never more deliveries than allowed within any period, whoever reads, and no fewer than there could be. */
import { expect, test } from 'vitest'
import type { ReadResult } from '../../../src/queue/contract.ts'
import type { Suite } from '../../support/bench.ts'
import { settling } from '../../support/bench.ts'
import { uniqueQueue } from '../../support/queues.ts'
import { until } from '../../support/worker.ts'

const HOUR = 3600
const VISIBILITY = 600

export const limitSuite: Suite = (bench) => {
  async function limited(messages: number, maxMessages: number, periodSeconds = HOUR): Promise<string> {
    const name = await bench().newQueue(messages)
    await bench().queue.setRateLimit(name, { maxMessages, periodSeconds })
    return name
  }
  const read = (queue: string, limit = 100): Promise<ReadResult> =>
    bench().queue.read([{ queue, limit, visibilityTimeoutSeconds: VISIBILITY }], 64e6)
  const left = async (queue: string) => (await bench().queue.counts([queue]))[0]?.rateLimit?.left

  test('four that read at once get exactly as many as are allowed, and as many again a period later', async () => {
    const name = await limited(300, 50)
    const reader = async () => {
      let got = 0
      for (;;) {
        const { messages, queues } = await read(name, 7)
        got += messages.length
        if (queues[0]?.status === 'limited') return got
      }
    }
    for (let period = 1; period <= 3; period += 1) {
      const got = await Promise.all([reader(), reader(), reader(), reader()])
      expect(got.reduce((sum, one) => sum + one, 0)).toBe(50)
      const stored = await bench().look.messages(name)
      expect(stored.filter(({ read_ct }) => read_ct === 1)).toHaveLength(50 * period)
      await bench().look.pass(name, HOUR * 1.01)
    }
  })

  bench.testMeeting(
    'somebody who holds a limited queue holds up no other; it is read when they are done',
    async () => {
      const [held, free] = [await limited(3, 100), await bench().newQueue(2)]
      const demands = [held, free].map((queue) => ({
        queue,
        limit: 10,
        visibilityTimeoutSeconds: VISIBILITY,
      }))
      await bench().sql.begin(async (holding) => {
        await holding`select from queue_worker.queues where queue = ${held} for update`
        const { messages, queues } = await bench().queue.read(demands, 64e6)
        expect(messages.map(({ queue }) => queue)).toEqual([free, free])
        expect(queues).toMatchObject([
          { queue: held, status: 'ok', nextVisibleInMs: 0 },
          { queue: free, status: 'ok' },
        ])
      })
      expect((await bench().queue.read(demands, 64e6)).messages.map(({ queue }) => queue)).toEqual([
        held,
        held,
        held,
      ])
      expect(await left(held)).toBe(97)
    },
  )

  test('the period slides: each delivery makes room again when it is a period old', async () => {
    const name = await limited(20, 5)
    expect((await read(name, 3)).messages).toHaveLength(3)
    await bench().look.pass(name, 0.6 * HOUR)
    const { messages, queues } = await read(name)
    expect(messages).toHaveLength(2)
    expect(queues).toEqual([{ queue: name, status: 'limited', nextVisibleInMs: expect.any(Number) }])
    expect(queues[0]?.nextVisibleInMs).toSatisfy(
      (ms: number) => ms > 0.3 * HOUR * 1000 && ms < 0.41 * HOUR * 1000,
    )
    await bench().look.pass(name, 0.45 * HOUR)
    expect((await read(name)).messages).toHaveLength(3)
    expect((await read(name)).messages).toHaveLength(0)
    await bench().look.pass(name, 0.6 * HOUR)
    expect((await read(name)).messages).toHaveLength(2)
  })

  test('by the clock: it says when it is worth coming back, and no period ever has more', async () => {
    const [count, periodMs] = [4, 400]
    const name = await limited(20, count, periodMs / 1000)
    let got = 0
    await until('all are read', async () => {
      const { messages, queues } = await read(name)
      got += messages.length
      if (queues[0]?.status === 'limited') {
        expect(queues[0].nextVisibleInMs).toBeLessThanOrEqual(periodMs * 1.01)
        await new Promise((resolve) => setTimeout(resolve, queues[0]?.nextVisibleInMs ?? 0))
      }
      return got === 20
    })
    // When each was read: what its visibility timeout counts from.
    const readAt = await bench().sql`
      select extract(epoch from vt)::float8 * 1000 as ms from ${bench().look.table('q', name)} order by vt`
    for (const [index, { ms }] of readAt.slice(count).entries()) {
      expect(ms - readAt[index]?.ms).toBeGreaterThanOrEqual(periodMs)
    }
  })

  test('only what is given counts: not what was asked for, nor what was undone', async () => {
    const name = await limited(2, 5)
    expect((await read(name)).messages).toHaveLength(2)
    expect(await left(name)).toBe(3)
    await bench().look.expire(name)
    await bench().sql.unsafe(`alter table pgmq.q_${name} add constraint no_reads check (read_ct < 2)`)
    expect((await read(name)).queues[0]?.status).toBe('error')
    expect(await left(name)).toBe(3)
    const undone = new Error('undone')
    const request = JSON.stringify({ protocol: 2, queues: [{ queue: name, limit: 9, vt_seconds: 60 }] })
    await bench()
      .sql.begin(async (tx) => {
        await tx.unsafe(`alter table pgmq.q_${name} drop constraint no_reads`)
        const rows =
          await tx`select * from queue_worker_read_rows(${request}::text::jsonb) where state is null`
        expect(rows).toHaveLength(2)
        throw undone
      })
      .catch((error: unknown) => expect(error).toBe(undone))
    expect(await left(name)).toBe(3)
  })

  test('a delivery counts each time, whatever becomes of it', async () => {
    const name = await limited(1, 3)
    for (const outcome of ['release', 'retry', 'snooze'] as const) {
      await bench().look.expire(name)
      const [message] = (await read(name)).messages
      if (message) await bench().queue.settle([settling(message, outcome)], 'worker-1')
    }
    await bench().look.expire(name)
    expect((await read(name)).queues[0]?.status).toBe('limited')
  })

  test('used up with nothing due, the queue is fine, and says when something will be', async () => {
    const name = await limited(2, 2)
    await read(name)
    expect((await read(name)).queues).toEqual([
      { queue: name, status: 'ok', nextVisibleInMs: expect.any(Number) },
    ])
    expect((await read(name)).queues[0]?.nextVisibleInMs).toBeLessThanOrEqual(VISIBILITY * 1000)
    await bench().queue.send([{ queue: name, message: 3 }])
    const { queues } = await read(name)
    expect(queues[0]).toMatchObject({ status: 'limited' })
    expect(queues[0]?.nextVisibleInMs).toBeGreaterThan(VISIBILITY * 1000)
  })

  test('the limit of one queue holds up no other in the same call', async () => {
    const [slow, fast] = [await limited(5, 1), await bench().newQueue(5)]
    const demands = [slow, fast].map((queue) => ({ queue, limit: 5, visibilityTimeoutSeconds: 60 }))
    const first = await bench().queue.read(demands, 1e6)
    expect(first.messages.map(({ queue }) => queue)).toEqual([slow, ...Array(5).fill(fast)])
    expect(first.queues.map(({ status }) => status)).toEqual(['limited', 'ok'])
  })

  test('a change applies at once, to what is known of the past period as well; null lifts it', async () => {
    const name = await limited(20, 5)
    expect((await read(name)).messages).toHaveLength(5)
    await bench().queue.setRateLimit(name, { maxMessages: 7, periodSeconds: HOUR })
    expect((await read(name)).messages).toHaveLength(2)
    await bench().queue.setRateLimit(name, { maxMessages: 2, periodSeconds: HOUR })
    const [lower] = (await read(name)).queues
    expect(lower).toMatchObject({ status: 'limited' })
    expect(lower?.nextVisibleInMs).toBeGreaterThan(0.9 * HOUR * 1000)
    const changedAt = async () =>
      (await bench().sql`select changed_at from queue_worker.queues where queue = ${name}`)[0]?.changed_at
    const before = await changedAt()
    await bench().queue.setRateLimit(name, { maxMessages: 2, periodSeconds: HOUR })
    expect(await changedAt(), 'the same again changes nothing').toEqual(before)
    await bench().queue.setRateLimit(name, null)
    expect((await read(name)).messages).toHaveLength(13)
    expect(await left(name)).toBeUndefined()
  })

  test('a paused queue is told as paused, limit or not', async () => {
    const name = await limited(5, 1)
    await read(name)
    await bench().queue.setPaused(name, true)
    expect((await read(name)).queues[0]?.status).toBe('paused')
  })

  test('what is no limit is refused, and so is one for a queue that does not exist', async () => {
    const name = await bench().newQueue()
    for (const [max_messages, period_seconds] of [
      [0, 1],
      [1.5, 1],
      [1_000_001, 1],
      [1, 0],
      [1, null],
      [1, 40 * 86_400],
      ['many', 1],
      ['NaN', 1],
    ]) {
      const asked = bench().transport.call('set_rate_limit', {
        protocol: 2,
        queue: name,
        max_messages,
        period_seconds,
      })
      await expect(asked, `${max_messages}/${period_seconds}`).rejects.toMatchObject({ kind: 'rejected' })
    }
    const nowhere = bench().queue.setRateLimit(uniqueQueue(), { maxMessages: 1, periodSeconds: 1 })
    await expect(nowhere).rejects.toMatchObject({ kind: 'missing_queue' })
  })

  test('however many reads there are, a queue has few rows to count', async () => {
    const name = await limited(0, 1_000_000, 10)
    await bench().sql`select queue_worker.charge_limit(${name}, 1, now() + make_interval(secs => n * 0.001))
      from generate_series(1, 15000) n`
    const [rows] = await bench().sql`
      select count(*)::int as n, sum(messages)::int as messages from queue_worker.grants where queue = ${name}`
    expect(rows?.n).toBeLessThanOrEqual(1002)
    expect(rows?.messages).toBeGreaterThanOrEqual(10_000)
  })
}
