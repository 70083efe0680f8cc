/** The producer over both transports: what arrives, in how few calls, and who fails with whom. */
import postgres from 'postgres'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { z } from 'zod'
import { createProducer, type Transport } from '../../src/library.ts'
import { createInspector, uniqueQueue } from '../support/queues.ts'
import { losingAnswers, openTransport } from '../support/transports.ts'

const stack = inject('stack')
const sql = postgres(stack.databaseUrl, { max: 1, onnotice: () => {} })
const look = createInspector(sql)
const made: string[] = []
afterAll(async () => {
  for (const queue of made) await look.drop(queue)
  await sql.end()
})

async function newQueue(): Promise<string> {
  const queue = uniqueQueue('p')
  await sql`select queue_worker.ensure_queue(${queue}, false)`
  made.push(queue)
  return queue
}

/** The transport, and how many messages each of its calls carried. */
function counted(transport: Transport): Transport & { readonly calls: number[] } {
  const calls: number[] = []
  return {
    ...transport,
    calls,
    call(entryPoint, request) {
      calls.push((request as { sends: unknown[] }).sends.length)
      return transport.call(entryPoint, request)
    },
  }
}

const numbers = (count: number) => Array.from({ length: count }, (_, n) => n)
const payloads = async (queue: string) => (await look.messages(queue)).map(({ message }) => message)

describe.each(['rpc', 'postgres'] as const)('a producer over %s', (kind) => {
  let connection: ReturnType<typeof counted>
  let producer: ReturnType<typeof createProducer>
  beforeAll(() => {
    connection = counted(openTransport(kind, stack))
    producer = createProducer(connection)
  })
  afterAll(() => producer.close())
  const callsFor = async (run: () => Promise<unknown>) => {
    connection.calls.length = 0
    await run()
    return [...connection.calls]
  }

  test('sends a lone message with one call, and awaited ones in their order', async () => {
    const queue = await newQueue()
    const calls = await callsFor(async () => {
      for (const n of numbers(5)) expect((await producer.send(queue, n)).msgId).toBe(String(n + 1))
    })
    expect(calls).toEqual([1, 1, 1, 1, 1])
    expect(await payloads(queue)).toEqual(numbers(5))
  })

  test('a thousand at once use few calls, arrive once each, and each gets the id of its own message', async () => {
    const queue = await newQueue()
    const ids: string[] = []
    const calls = await callsFor(() =>
      Promise.all(
        numbers(1000).map(async (n) => {
          ids[n] = (await producer.send(queue, { n })).msgId
        }),
      ),
    )
    expect(calls).toEqual([500, 500])
    const stored = await look.messages(queue)
    expect(stored.map(({ message }) => message)).toHaveLength(1000)
    for (const { msg_id, message } of stored) expect(ids[(message as { n: number }).n]).toBe(msg_id)
  })

  test('a thousand from a hundred callers that each wait for their own arrive once each, in their order', async () => {
    const queue = await newQueue()
    const calls = await callsFor(() =>
      Promise.all(
        numbers(100).map(async (caller) => {
          for (const n of numbers(10)) await producer.send(queue, { caller, n })
        }),
      ),
    )
    expect(calls.length).toBeLessThan(500)
    const stored = (await payloads(queue)) as { caller: number; n: number }[]
    for (const caller of numbers(100))
      expect(stored.filter((one) => one.caller === caller).map(({ n }) => n)).toEqual(numbers(10))
    expect(stored).toHaveLength(1000)
  })

  test('what is large is spread over calls that a server takes', async () => {
    const queue = await newQueue()
    const calls = await callsFor(() =>
      Promise.all(numbers(30).map((n) => producer.send(queue, { n, text: 'x'.repeat(100_000) }))),
    )
    expect(Math.max(...calls)).toBeLessThan(10)
    expect(calls.reduce((sum, count) => sum + count)).toBe(30)
    expect(await look.messages(queue)).toHaveLength(30)
  })

  test('one for a queue that is missing, and one with a date no database has, fail alone among many', async () => {
    const [queue, missing] = [await newQueue(), uniqueQueue()]
    const results = await Promise.allSettled(
      numbers(300).map((n) => {
        if (n === 7) return producer.send(missing, { n })
        const at = n === 123 ? { at: new Date(-8.64e15) } : {}
        return producer.send(queue, { n }, at)
      }),
    )
    const failed = results.flatMap((result, n) => (result.status === 'rejected' ? [[n, result.reason]] : []))
    expect(failed).toMatchObject([
      [7, { kind: 'missing_queue', message: expect.stringContaining(missing) }],
      [123, { kind: 'rejected' }],
    ])
    const good = numbers(300).filter((n) => n !== 7 && n !== 123)
    expect(await payloads(queue)).toEqual(good.map((n) => ({ n })))
  })

  test('one that a trigger of yours refuses fails alone among many', async () => {
    const queue = await newQueue()
    await sql.unsafe(`
      create function pgmq.trouble_${queue}() returns trigger language plpgsql as $$ begin
        if (new.message ->> 'n')::int = 33 then raise exception 'no such customer'; end if; return new; end $$;
      create trigger trouble before insert on pgmq.q_${queue} for each row execute function pgmq.trouble_${queue}()`)
    const results = await Promise.allSettled(numbers(100).map((n) => producer.send(queue, { n })))
    await sql.unsafe(`drop function pgmq.trouble_${queue}() cascade`)
    expect(results.flatMap(({ status }, n) => (status === 'rejected' ? [n] : []))).toEqual([33])
    expect(results[33]).toMatchObject({ reason: { message: expect.stringContaining('no such customer') } })
    expect(await payloads(queue)).toEqual(numbers(100).flatMap((n) => (n === 33 ? [] : [{ n }])))
  })

  test('the same key twice in a batch sends one message, and both get its id', async () => {
    const queue = await newQueue()
    const results = await Promise.all(
      numbers(50).map((n) => producer.send(queue, { n }, { idempotencyKey: `order ${n % 10}` })),
    )
    expect(await look.messages(queue)).toHaveLength(10)
    for (const [n, { msgId }] of results.entries()) expect(msgId).toBe(results[n % 10]?.msgId)
    expect(results.filter(({ duplicate }) => !duplicate)).toHaveLength(10)
  })

  test('two that send the same keys at once, in other orders, do not block each other', async () => {
    const queue = await newQueue()
    const other = createProducer(openTransport(kind, stack))
    const keys = numbers(200)
    const send = (from: typeof producer, n: number) => from.send(queue, n, { idempotencyKey: `key ${n}` })
    for (const round of numbers(5)) {
      const shifted = keys.map((n) => n + round * 200)
      await Promise.all([
        ...shifted.map((n) => send(producer, n)),
        ...shifted.toReversed().map((n) => send(other, n)),
      ])
    }
    await other.close()
    expect((await payloads(queue)).toSorted()).toEqual(numbers(1000).toSorted())
  })

  test('a lost answer fails all that were in that call and sends none of them again', async () => {
    const queue = await newQueue()
    const losing = losingAnswers(connection)
    const unlucky = createProducer(losing)
    const results = await Promise.allSettled(numbers(20).map((n) => unlucky.send(queue, n)))
    expect(results).toMatchObject(Array(20).fill({ reason: { kind: 'disconnected' } }))
    expect(losing.lost).toEqual(['send'])
    await unlucky.close()
    expect(await payloads(queue)).toEqual(numbers(20))
  })

  test('closing waits for what was sent and then refuses more', async () => {
    const queue = await newQueue()
    const brief = createProducer(openTransport(kind, stack))
    const sent = Promise.all(numbers(1200).map((n) => brief.send(queue, n)))
    await Promise.all([brief.close(), brief.close()])
    await expect(brief.send(queue, 'late')).rejects.toThrow(/closed/)
    expect(await sent).toHaveLength(1200)
    expect(await look.messages(queue)).toHaveLength(1200)
  })

  test('a payload that does not fit its schema fails before it is sent, and fails nobody else', async () => {
    const queue = await newQueue()
    const strict = createProducer(openTransport(kind, stack), { [queue]: z.object({ n: z.number() }) })
    const results = await Promise.allSettled([
      strict.send(queue, { n: 1 }),
      strict.send(queue, { n: 'two' } as never),
      strict.send(queue, { n: 3 }),
    ])
    await strict.close()
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(await payloads(queue)).toEqual([{ n: 1 }, { n: 3 }])
  })
})
