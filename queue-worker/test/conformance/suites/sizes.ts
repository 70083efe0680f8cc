/** Large, many and strange: what JSON, bigint, PostgREST's row limit and plain size could break. */
import { expect, test } from 'vitest'
import type { Suite } from '../../support/bench.ts'
import { settling } from '../../support/bench.ts'

const deep = Array.from({ length: 200 }).reduce<unknown>((inner) => ({ inner }), 'bottom')

const edgePayloads: readonly unknown[] = [
  {},
  [],
  '',
  'text',
  0,
  -1,
  1.5,
  1e21,
  9007199254740991,
  true,
  false,
  null,
  { unicode: 'Привет, 世界 👩‍👩‍👧 \u202e \u2028 \u2029 \ufeff \u0001 \u007f' },
  { 'ключ "quoted" \\ \n': [1, [2, [3, { x: null }]]] },
  JSON.parse('{"__proto__": {"polluted": true}, "constructor": 1, "toString": null}'),
  { $ref: '#', sql: "'; drop table pgmq.meta; --", percent: '%s %I $1', braces: '{}{{}}' },
  { dead_letter: { queue: 'x' }, message: 'looks like an envelope' },
  deep,
  { long: 'z'.repeat(1_000_000) },
]

export const sizeSuite: Suite = (bench) => {
  test('payloads of every kind come back as they were sent, also out of archive and dead letters', async () => {
    const name = await bench().newQueue(edgePayloads)
    const messages = await bench().read(name)
    expect(messages.map(({ payload }) => payload)).toEqual(edgePayloads)
    await bench().queue.settle(
      messages.map((message) => settling(message, 'dead')),
      'worker-1',
    )
    const letters = await bench().queue.deadLetters(name, { limit: 1000 })
    expect(letters.map(({ message }) => message)).toEqual(edgePayloads)
    await bench().queue.redrive(name, {})
    const again = await bench().read(name)
    expect(again.map(({ payload }) => payload)).toEqual(edgePayloads)
    expect(again.map(({ originKey }) => originKey)).toEqual(messages.map(({ originKey }) => originKey))
    await bench().queue.settle(
      again.map((message) => settling(message, 'archive')),
      'worker-1',
    )
    expect((await bench().look.archived(name)).map(({ message }) => message)).toEqual(edgePayloads)
  })

  test('ids above 2^31 and at the end of what JavaScript counts exactly live a whole life', async () => {
    for (const start of ['3000000000', '9007199254740991']) {
      const name = await bench().newQueue()
      for (const queue of [name, `${name}_dlq`]) {
        await bench().sql.unsafe(`alter table pgmq.q_${queue} alter column msg_id restart with ${start}`)
      }
      const sent = await bench().queue.send(['a', 'b', 'c', 'd'].map((message) => ({ queue: name, message })))
      const ids = [0n, 1n, 2n, 3n].map((n) => String(BigInt(start) + n))
      expect(sent.map(({ msgId }) => msgId)).toEqual(ids)
      const messages = await bench().read(name)
      expect(messages.map(({ msgId }) => msgId)).toEqual(ids)
      const extended = await bench().queue.extend(
        messages.map((receipt) => ({ receipt, visibilityTimeoutSeconds: 90 })),
      )
      expect(extended).toEqual([true, true, true, true])
      const kinds = ['archive', 'dead', 'retry', 'delete'] as const
      const batch = messages.map((message, i) => settling(message, kinds[i] ?? 'archive'))
      expect((await bench().queue.settle(batch, 'worker-1')).map(({ status }) => status)).toEqual([
        'ok',
        'ok',
        'ok',
        'ok',
      ])
      expect((await bench().queue.settle(batch, 'worker-1')).map(({ status }) => status)).toEqual([
        'already',
        'already',
        'already',
        'gone',
      ])
      const [letter] = await bench().queue.deadLetters(name, {})
      expect(letter?.msgId).toBe(start)
      expect(await bench().queue.redrive(name, { msgIds: [start] })).toEqual([
        { deadMsgId: start, msgId: String(BigInt(start) + 4n) },
      ])
    }
  })

  test('one call reads and settles more than a thousand messages, beyond the row limit of the REST interface', async () => {
    const [a, b] = [await bench().newQueue(900), await bench().newQueue(900)]
    const demands = [a, b].map((queue) => ({ queue, limit: 1000, visibilityTimeoutSeconds: 60 }))
    const { messages } = await bench().queue.read(demands, 64e6)
    expect(messages).toHaveLength(1800)
    expect(new Set(messages.map(({ queue, msgId }) => `${queue} ${msgId}`)).size).toBe(1800)
    const leases = messages.map((receipt) => ({ receipt, visibilityTimeoutSeconds: 90 }))
    expect(await bench().queue.extend(leases)).toEqual(Array(1800).fill(true))
    const results = await bench().queue.settle(
      messages.map((message) => settling(message, 'archive')),
      'worker-1',
    )
    expect(results).toEqual(Array(1800).fill({ status: 'ok' }))
  })

  test('a read gives at most a thousand messages of one queue', async () => {
    const name = await bench().newQueue(1100)
    expect(await bench().read(name, { limit: 5000 })).toHaveLength(1000)
    expect(await bench().read(name, { limit: 5000 })).toHaveLength(100)
  })

  test('500 messages of 1 MB are read within the byte budget and settled, in bounded bites', async () => {
    const name = await bench().newQueue()
    await bench().sql`
      select pgmq.send(${name}::text, jsonb_build_object('n', n, 'text', repeat(md5(n::text), 32768))) from generate_series(1, 500) n`
    const budget = 16e6
    const seen = new Set<number>()
    for (;;) {
      const messages = await bench().read(name, { limit: 500, bytes: budget })
      if (messages.length === 0) break
      expect(messages.length).toBeLessThanOrEqual(16)
      for (const { payload } of messages) {
        const { n, text } = payload as { n: number; text: string }
        expect(text).toHaveLength(1_048_576)
        seen.add(n)
      }
      const results = await bench().queue.settle(
        messages.map((message) => settling(message, 'delete')),
        'worker-1',
      )
      expect(results.every(({ status }) => status === 'ok')).toBe(true)
    }
    expect(seen.size).toBe(500)
    expect(await bench().look.messages(name)).toEqual([])
  })
}
