/** Reading: order, limits, byte budget, visibility, what is said about queues that give nothing. */
import { expect, test, vi } from 'vitest'
import type { Suite } from '../../support/bench.ts'
import { settling } from '../../support/bench.ts'
import { uniqueQueue, untilBlockedBy } from '../../support/queues.ts'

export const readSuite: Suite = (bench) => {
  test('a read gives messages in id order with all that is known of them', async () => {
    const name = await bench().newQueue(30)
    const messages = await bench().read(name)
    expect(messages.map(({ payload }) => payload)).toEqual(
      Array.from({ length: 30 }, (_, i) => ({ n: i + 1 })),
    )
    const ids = messages.map(({ msgId }) => BigInt(msgId))
    expect(ids).toEqual(ids.toSorted((a, b) => (a < b ? -1 : 1)))
    const stored = await bench().look.messages(name)
    for (const [i, message] of messages.entries()) {
      expect(message).toMatchObject({
        queue: name,
        delivery: 1,
        failures: 0,
        interruptions: 0,
        diedAlone: 0,
        headers: null,
      })
      expect(message.originKey).toMatch(/^[0-9a-f]{32}$/)
      expect(message.waitedMs).toBeGreaterThanOrEqual(0)
      expect(new Date(message.enqueuedAt)).toEqual(stored[i]?.enqueued_at)
    }
    expect(new Set(messages.map(({ originKey }) => originKey)).size).toBe(30)
  })

  test('a read gives no more than its limit, and the rest to the next read', async () => {
    const name = await bench().newQueue(5)
    expect(await bench().read(name, { limit: 0 })).toEqual([])
    expect(await bench().read(name, { limit: 2 })).toHaveLength(2)
    expect(await bench().read(name, { limit: 2 })).toHaveLength(2)
    expect(await bench().read(name, { limit: 2 })).toHaveLength(1)
    expect(await bench().read(name, { limit: 2 })).toHaveLength(0)
  })

  test('one call reads several queues, each with its own limit and visibility timeout', async () => {
    const [a, b] = [await bench().newQueue(5), await bench().newQueue(5)]
    const demands = [
      { queue: b, limit: 1, visibilityTimeoutSeconds: 1000 },
      { queue: a, limit: 3, visibilityTimeoutSeconds: 10 },
    ]
    const { messages, queues } = await bench().queue.read(demands, 1e6)
    expect(messages.map(({ queue }) => queue)).toEqual([b, a, a, a])
    expect(queues.map(({ queue, status }) => [queue, status])).toEqual([
      [b, 'ok'],
      [a, 'ok'],
    ])
    const hiddenFor = async (queue: string) => {
      const [row] = await bench()
        .sql`select extract(epoch from max(vt) - now())::float8 as s from ${bench().look.table('q', queue)}`
      return row?.s
    }
    expect(await hiddenFor(b)).toBeGreaterThan(500)
    expect(await hiddenFor(a)).toBeLessThan(11)
  })

  test('the byte budget holds over all queues of a call and counts what a payload really is', async () => {
    // Well compressible, so that the stored size says nothing.
    const payload = { text: 'x'.repeat(100_000) }
    const a = await bench().newQueue([payload, payload, payload])
    const b = await bench().newQueue([payload, payload, payload])
    const demands = [a, b].map((queue) => ({ queue, limit: 100, visibilityTimeoutSeconds: 60 }))
    const counted = async (bytes: number) => {
      const { messages } = await bench().queue.read(demands, bytes)
      return [a, b].map((queue) => messages.filter((m) => m.queue === queue).length)
    }
    expect(await counted(450_000)).toEqual([3, 1])
    expect((await bench().look.messages(b)).map(({ read_ct }) => read_ct).toSorted()).toEqual([0, 0, 1])
    expect(await counted(450_000)).toEqual([0, 2])
  })

  test('a read that the byte budget cut short says that more is due now', async () => {
    const name = await bench().newQueue([1, 2, 3].map(() => ({ text: 'x'.repeat(1000) })))
    const read = () => bench().queue.read([{ queue: name, limit: 10, visibilityTimeoutSeconds: 60 }], 2500)
    const [first, second] = [await read(), await read()]
    expect(first.messages).toHaveLength(2)
    expect(first.queues[0]?.nextVisibleInMs).toBe(0)
    expect(second.messages).toHaveLength(1)
    expect(second.queues[0]?.nextVisibleInMs).toBeGreaterThan(10_000)
  })

  test('a message larger than the whole budget is still given, alone', async () => {
    const name = await bench().newQueue([{ text: 'y'.repeat(50_000) }, { n: 2 }])
    expect(await bench().read(name, { bytes: 1000 })).toHaveLength(1)
    expect(await bench().read(name, { bytes: 1000 })).toHaveLength(1)
  })

  test('messages without content are read many at once like any other', async () => {
    const name = await bench().newQueue()
    await bench().sql`select pgmq.send(${name}::text, null::jsonb) from generate_series(1, 10)`
    const messages = await bench().read(name)
    expect(messages.map(({ payload }) => payload)).toEqual(Array(10).fill(null))
  })

  test('a message whose visibility timeout ran out comes again as the next delivery, counted as interruption', async () => {
    const name = await bench().newQueue(1)
    const [first] = await bench().read(name, { vt: 1 })
    expect(await bench().read(name)).toEqual([])
    const again = await vi.waitUntil(async () => (await bench().read(name))[0], {
      timeout: 30_000,
      interval: 50,
    })
    expect(again).toMatchObject({ msgId: first?.msgId, delivery: 2, failures: 0, interruptions: 1 })
    expect(again.originKey).toBe(first?.originKey)
    expect(again.enqueuedAt).toBe(first?.enqueuedAt)
  })

  test('a read says when the soonest hidden message becomes visible', async () => {
    const name = await bench().newQueue()
    const demand = { queue: name, limit: 10, visibilityTimeoutSeconds: 600 }
    const next = async () => (await bench().queue.read([demand], 1e6)).queues[0]?.nextVisibleInMs
    expect(await next()).toBeNull()
    await bench().queue.send([{ queue: name, message: 1, delaySeconds: 3600 }])
    expect(await next()).toSatisfy((ms: number) => ms > 3_000_000 && ms <= 3_600_000)
    await bench().queue.send([{ queue: name, message: 2, at: new Date(Date.now() + 1_200_000) }])
    expect(await next()).toSatisfy((ms: number) => ms > 900_000 && ms <= 1_260_000)
    await bench().queue.send([{ queue: name, message: 3 }])
    expect(await next(), 'a message came').toBeNull()
    expect(await next(), 'the one just read is hidden for its timeout').toSatisfy(
      (ms: number) => ms > 300_000 && ms <= 600_000,
    )
  })

  bench.testMeeting(
    'a given origin key is seen, also when its message comes while the read is under way',
    async () => {
      const { sql, look, queue } = bench()
      const [first, second] = [await bench().newQueue(), await bench().newQueue()]
      const demands = [first, second].map((name) => ({
        queue: name,
        limit: 10,
        visibilityTimeoutSeconds: 60,
      }))
      const reading = await sql.begin(async (holding) => {
        await holding`lock table ${look.table('q', first)} in access exclusive mode`
        const read = queue.read(demands, 1e6)
        const [own] = await holding`select pg_backend_pid() as pid`
        await untilBlockedBy(sql, own?.pid)
        const sends = [{ queue: second, message: 1, origin_key: 'order-8' }]
        await sql`select queue_worker_send(${sql.json({ protocol: 1, sends })}::jsonb)`
        return { read }
      })
      expect((await reading.read).messages.map(({ originKey }) => originKey)).toEqual(['order-8'])
    },
  )

  bench.testMeeting('a queue that is dropped while it is read is missing, no error', async () => {
    const { sql, look, queue } = bench()
    const [dropped, good] = [await bench().newQueue(1), await bench().newQueue(1)]
    const demands = [dropped, good].map((name) => ({
      queue: name,
      limit: 10,
      visibilityTimeoutSeconds: 60,
    }))
    const reading = await sql.begin(async (holding) => {
      await holding`drop table ${look.table('q', dropped)} cascade`
      const read = queue.read(demands, 1e6)
      const [own] = await holding`select pg_backend_pid() as pid`
      await untilBlockedBy(sql, own?.pid)
      return { read }
    })
    const { messages, queues } = await reading.read
    expect(messages.map((one) => one.queue)).toEqual([good])
    expect(queues.map(({ queue: name, status }) => [name, status])).toEqual([
      [dropped, 'missing'],
      [good, 'ok'],
    ])
  })

  test('a missing, a paused and a misnamed queue are reported and keep nobody else from being read', async () => {
    const [good, paused, missing] = [await bench().newQueue(1), await bench().newQueue(1), uniqueQueue()]
    await bench().queue.setPaused(paused, true)
    const demands = [missing, paused, 'No Queue', '', 'q'.repeat(44), good].map((queue) => ({
      queue,
      limit: 10,
      visibilityTimeoutSeconds: 60,
    }))
    const { messages, queues } = await bench().queue.read(demands, 1e6)
    expect(queues.map(({ status }) => status)).toEqual(['missing', 'paused', 'error', 'error', 'error', 'ok'])
    expect(messages.map(({ queue }) => queue)).toEqual([good])
    expect((await bench().look.messages(paused))[0]?.read_ct).toBe(0)
  })

  test('a queue whose read fails is reported and does not undo the reads and settles beside it', async () => {
    const [broken, good] = [await bench().newQueue(1), await bench().newQueue(2)]
    const held = (await bench().read(good, { limit: 1 })).map((message) => settling(message, 'archive'))
    await bench().sql.unsafe(`alter table pgmq.q_${broken} add constraint no_reads check (read_ct = 0)`)
    const demands = [broken, good].map((queue) => ({ queue, limit: 10, visibilityTimeoutSeconds: 60 }))
    const { settled, read } = await bench().queue.exchange(held, 'worker-1', demands, 1e6)
    expect(settled).toEqual([{ status: 'ok' }])
    expect(read.queues.map(({ status }) => status)).toEqual(['error', 'ok'])
    expect(read.queues[0]?.error).toContain('no_reads')
    expect(read.messages.map(({ queue }) => queue)).toEqual([good])
    expect(await bench().look.archived(good)).toHaveLength(1)
  })

  test('the longest due come first, so a message that fails for ever holds nobody up', async () => {
    const name = await bench().newQueue(3)
    const [first] = await bench().read(name, { limit: 1 })
    if (first) await bench().queue.settle([settling(first, 'release')], 'worker-1')
    const order = []
    for (let i = 0; i < 3; i++) order.push((await bench().read(name, { limit: 1 }))[0]?.payload)
    expect(order).toEqual([{ n: 2 }, { n: 3 }, { n: 1 }])
  })

  test('workers that read at once never get the same message', async () => {
    const name = await bench().newQueue(400)
    const worker = async () => {
      const got: string[] = []
      for (;;) {
        const messages = await bench().read(name, { limit: 7 })
        if (messages.length === 0) return got
        got.push(...messages.map(({ msgId }) => msgId))
      }
    }
    const got = (await Promise.all([worker(), worker(), worker(), worker()])).flat()
    // A read that meets locked rows may come back empty, so what is left is fetched alone.
    got.push(...(await worker()))
    expect(got).toHaveLength(400)
    expect(new Set(got).size).toBe(400)
    expect((await bench().look.messages(name)).every(({ read_ct }) => read_ct === 1)).toBe(true)
  })
}
