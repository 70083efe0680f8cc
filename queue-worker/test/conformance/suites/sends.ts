/** Sending: alone, and as part of a settle with which it commits. */
import { expect, test } from 'vitest'
import type { Send } from '../../../src/queue/contract.ts'
import type { Suite } from '../../support/bench.ts'
import { settling } from '../../support/bench.ts'
import { uniqueQueue, untilBlockedBy } from '../../support/queues.ts'

export const sendSuite: Suite = (bench) => {
  const payloads = async (name: string) => (await bench().look.messages(name)).map(({ message }) => message)

  test('many sends get ascending ids in their order', async () => {
    const name = await bench().newQueue()
    const sends = Array.from({ length: 1500 }, (_, i) => ({ queue: name, message: i }))
    const results = await bench().queue.send(sends)
    expect(results.map(({ msgId }) => msgId)).toEqual(sends.map((_, i) => String(i + 1)))
    expect(results.every(({ duplicate }) => !duplicate)).toBe(true)
    expect(await payloads(name)).toEqual(sends.map(({ message }) => message))
  })

  test('sends are all or none, and a missing queue is named with its remedy', async () => {
    const [name, missing] = [await bench().newQueue(), uniqueQueue()]
    const both = [
      { queue: name, message: 1 },
      { queue: missing, message: 2 },
    ]
    await expect(bench().queue.send(both)).rejects.toMatchObject({
      kind: 'missing_queue',
      message: expect.stringContaining(missing),
    })
    expect(await payloads(name)).toEqual([])
    expect(await bench().queue.send([])).toEqual([])
  })

  test('a message that would never become visible is refused', async () => {
    const name = await bench().newQueue()
    for (const at of ['infinity', '-infinity']) {
      const request = { protocol: 1, sends: [{ queue: name, message: 1, at }] }
      await expect(bench().transport.call('send', request)).rejects.toMatchObject({ kind: 'rejected' })
    }
    expect(await payloads(name)).toEqual([])
  })

  test('many sends to several queues, with and without headers and delays, are answered in their order', async () => {
    const [a, b] = [await bench().newQueue(), await bench().newQueue()]
    const at = new Date('2199-01-02T03:04:05.678Z')
    const sends: Send[] = [
      { queue: b, message: null },
      { queue: a, message: 1, headers: { h: 1 } },
      { queue: b, message: 2, at },
      { queue: a, message: 3 },
      { queue: b, message: [4], delaySeconds: 3600 },
    ]
    const ids = async (queue: string) => (await bench().look.messages(queue)).map(({ msg_id }) => msg_id)
    const results = await bench().queue.send(sends)
    const [[a1, a2], [b1, b2, b3]] = [await ids(a), await ids(b)]
    expect(results.map(({ msgId }) => msgId)).toEqual([b1, a1, b2, a2, b3])
    expect((await bench().look.messages(a)).map(({ message, headers }) => [message, headers])).toEqual([
      [1, { h: 1 }],
      [3, null],
    ])
    expect(await payloads(b)).toEqual([null, 2, [4]])
    expect((await bench().look.messages(b))[1]?.vt).toEqual(at)
    const mixed = sends.map((send, i) => ({ ...send, idempotencyKey: `key-${i}` }))
    expect(await bench().queue.send([...mixed, ...mixed.toReversed()])).toHaveLength(10)
    expect(await payloads(b)).toEqual([null, 2, [4], null, 2, [4]])
    await expect(bench().queue.send([...sends, { queue: a, message: undefined }])).rejects.toMatchObject({
      kind: 'rejected',
    })
    expect(await payloads(a)).toEqual([1, 3, 1, 3])
  })

  test('a message may be delayed by seconds or until a time', async () => {
    const name = await bench().newQueue()
    const at = new Date('2199-01-02T03:04:05.678Z')
    await bench().queue.send([
      { queue: name, message: 1, delaySeconds: 0.5 },
      { queue: name, message: 2, at },
    ])
    const [soon, later] = await bench().look.messages(name)
    expect(later?.vt).toEqual(at)
    expect(soon?.vt.getTime()).toBeGreaterThan(soon?.enqueued_at.getTime() ?? 0)
  })

  test('the same idempotency key sends once a queue and answers with the first id', async () => {
    const [a, b] = [await bench().newQueue(), await bench().newQueue()]
    const send = (queue: string, message: unknown): Send => ({ queue, message, idempotencyKey: 'order-1' })
    const [first, again, elsewhere] = await bench().queue.send([send(a, 1), send(a, 2), send(b, 3)])
    expect([first?.duplicate, again?.duplicate, elsewhere?.duplicate]).toEqual([false, true, false])
    expect(again?.msgId).toBe(first?.msgId)
    const message = await bench().readOne(a)
    await bench().queue.settle([settling(message, 'delete')], 'worker-1')
    expect(await bench().queue.send([send(a, 4)])).toEqual([{ msgId: first?.msgId, duplicate: true }])
    expect(await payloads(a)).toEqual([])
  })

  bench.testMeeting(
    'of two sends with one key at the same time the second waits and answers by how the first ended',
    async () => {
      for (const ends of ['commit', 'rollback'] as const) {
        const name = await bench().newQueue()
        let second: ReturnType<ReturnType<typeof bench>['queue']['send']> | undefined
        const transaction = bench().sql.begin(async (tx) => {
          const request = { protocol: 1, sends: [{ queue: name, message: 'first', idempotency_key: 'k' }] }
          await tx`select public.queue_worker_send(${tx.json(request)}::jsonb)`
          const [self] = await tx`select pg_backend_pid() as pid`
          second = bench().queue.send([{ queue: name, message: 'second', idempotencyKey: 'k' }])
          await untilBlockedBy(bench().sql, self?.pid)
          if (ends === 'rollback') throw new Error('rolled back by the test')
        })
        await transaction.catch(() => {})
        expect((await second)?.[0]?.duplicate).toBe(ends === 'commit')
        expect(await payloads(name)).toEqual([ends === 'commit' ? 'first' : 'second'])
      }
    },
  )

  test('what a settle carries is sent exactly when the settle counts', async () => {
    const [from, to] = [await bench().newQueue(2), await bench().newQueue()]
    const [a, b] = await bench().read(from)
    if (!a || !b) return expect.fail()
    const carrying = (message: typeof a, what: string) =>
      settling(message, { kind: 'archive', sends: [{ queue: to, message: what, delaySeconds: 60 }] })
    const settle = async (...batch: ReturnType<typeof settling>[]) =>
      (await bench().queue.settle(batch, 'worker-1')).map(({ status }) => status)
    expect(await settle(carrying(a, 'from a'))).toEqual(['ok'])
    expect(await settle(carrying(a, 'from a again'))).toEqual(['already'])
    await bench().look.expire(from)
    await bench().readOne(from)
    expect(await settle(carrying(b, 'too late'))).toEqual(['lost'])
    expect(await payloads(to)).toEqual(['from a'])
  })

  test('a send that cannot be done rejects its own settlement and no other', async () => {
    const [from, to] = [await bench().newQueue(6), await bench().newQueue()]
    const messages = await bench().read(from)
    const circle: Record<string, unknown> = {}
    circle.self = circle
    const ok = { queue: to, message: 'sent' }
    const sends: Send[][] = [
      [ok],
      [ok, { queue: uniqueQueue(), message: 1 }],
      [ok, { queue: to, message: { text: 'NUL \u0000' } }],
      [ok, { queue: to, message: { 'half \ud83d': 1 } }],
      [ok, { queue: to, message: circle }],
      [{ queue: to, message: { text: 'a backslash \\u0000 is fine' } }],
    ]
    const results = await bench().queue.settle(
      messages.map((message, i) => settling(message, { kind: 'delete', sends: sends[i] ?? [] })),
      'worker-1',
    )
    expect(results.map(({ status }) => status)).toEqual([
      'ok',
      'rejected',
      'rejected',
      'rejected',
      'rejected',
      'ok',
    ])
    expect(results[2]?.error).toContain('NUL')
    expect(await payloads(to)).toEqual(['sent', { text: 'a backslash \\u0000 is fine' }])
    expect(await bench().look.messages(from)).toHaveLength(4)
    // A rejected delivery is not settled: its failure can still be recorded.
    const retry = settling(messages[1] ?? expect.fail(), 'retry')
    expect(await bench().queue.settle([retry], 'worker-1')).toEqual([{ status: 'ok' }])
  })

  test('headers travel with the message where pgmq has them', async () => {
    const name = await bench().newQueue()
    expect((await bench().queue.status()).headers).toBe(true)
    await bench().queue.send([{ queue: name, message: 1, headers: { trace: 'ünï-1' } }])
    expect((await bench().readOne(name)).headers).toEqual({ trace: 'ünï-1' })
  })

  test('a queue without columns headers and last_read_at (a double of pgmq 1.4.4) does all but headers', async () => {
    const name = await bench().newQueue(4)
    for (const table of [`q_${name}`, `a_${name}`, `q_${name}_dlq`, `a_${name}_dlq`]) {
      await bench().sql.unsafe(
        `alter table pgmq.${table} drop column headers, drop column if exists last_read_at`,
      )
    }
    await expect(bench().queue.send([{ queue: name, message: 1, headers: { a: 1 } }])).rejects.toMatchObject({
      kind: 'rejected',
      message: expect.stringContaining('no message headers'),
    })
    const messages = await bench().read(name)
    expect(messages.map(({ headers }) => headers)).toEqual([null, null, null, null])
    const [a, b, c, d] = messages
    if (!a || !b || !c || !d) return expect.fail()
    const batch = [settling(a, 'archive'), settling(b, 'dead'), settling(c, 'retry'), settling(d, 'release')]
    const statuses = (await bench().queue.settle(batch, 'worker-1')).map(({ status }) => status)
    expect(statuses).toEqual(['ok', 'ok', 'ok', 'ok'])
    expect(await bench().queue.settle([settling(a, 'archive')], 'worker-1')).toEqual([{ status: 'already' }])
    expect(await bench().queue.redrive(name, {})).toHaveLength(1)
    const [again] = (await bench().read(name)).filter(({ payload }) => (payload as { n: number }).n === 2)
    expect(again).toMatchObject({ originKey: b.originKey, headers: null })
    const rows = await bench().sql.unsafe(`select headers, message from pgmq.${name}`)
    expect(rows.map(({ headers }) => headers)).toEqual([null, null, null])
  })

  test('a trace context is left out where a queue has no headers, and refuses no send', async () => {
    const name = await bench().newQueue()
    await bench().sql.unsafe(`alter table pgmq.q_${name} drop column headers`)
    const headers = {
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      tracestate: 'a=1',
    }
    const sends = (count: number, more: object = {}) =>
      Array.from({ length: count }, (_, n) => ({
        queue: name,
        message: { n },
        headers: { ...headers, ...more },
      }))
    expect(await bench().queue.send(sends(1))).toHaveLength(1)
    expect(await bench().queue.send(sends(10))).toHaveLength(10)
    for (const count of [1, 10]) {
      await expect(bench().queue.send(sends(count, { a: 1 }))).rejects.toMatchObject({
        kind: 'rejected',
        message: expect.stringContaining('no message headers'),
      })
    }
    expect(await bench().look.messages(name)).toHaveLength(11)
  })
}
