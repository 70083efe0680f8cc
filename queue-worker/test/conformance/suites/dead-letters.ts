/** Dead letters: what they hold, how they come back, and that they keep their identity. */
import { expect, test } from 'vitest'
import type { CountOptions, LetterFilter } from '../../../src/queue/operator.ts'
import type { Suite } from '../../support/bench.ts'
import { settling } from '../../support/bench.ts'

export const deadLetterSuite: Suite = (bench) => {
  /** A queue whose messages have all died, for the reasons given in turn. */
  const deadQueue = async (payloads: readonly unknown[], reasons: readonly string[] = ['unrecoverable']) => {
    const name = await bench().newQueue(payloads)
    const messages = await bench().read(name)
    const batch = messages.map((message, i) =>
      settling(message, {
        kind: 'dead',
        reason: reasons[i % reasons.length] as never,
        error: `because ${i}`,
        attempts: 3,
      }),
    )
    await bench().queue.settle(batch, 'worker-1')
    return { name, messages }
  }

  test('a dead letter holds the original, its headers and why it died', async () => {
    const name = await bench().newQueue()
    await bench().queue.send([
      { queue: name, message: { n: 1 }, headers: { h: 1 } },
      { queue: name, message: { n: 2 } },
    ])
    const messages = await bench().read(name)
    await bench().queue.settle(
      messages.map((message) => settling(message, 'dead')),
      'worker-9',
    )
    const letters = await bench().look.deadLetters(name)
    expect(letters.map(({ message }) => [message.message, message.headers])).toEqual([
      [{ n: 1 }, { h: 1 }],
      [{ n: 2 }, null],
    ])
    expect(letters[0]?.message.dead_letter).toEqual({
      queue: name,
      msg_id: Number(messages[0]?.msgId),
      origin_key: messages[0]?.originKey,
      reason: 'unrecoverable',
      error: 'it can never work',
      attempts: 1,
      deliveries: 1,
      enqueued_at: messages[0]?.enqueuedAt,
      dead_at: expect.any(String),
      worker_id: 'worker-9',
    })
    expect(await bench().look.messages(name)).toEqual([])
    expect(await bench().look.archived(name)).toEqual([])
  })

  test('a missing dead-letter queue is made when it is needed', async () => {
    const name = await bench().newQueue(1)
    const message = await bench().readOne(name)
    await bench().sql`select pgmq.drop_queue(${`${name}_dlq`}::text)`
    expect(await bench().queue.settle([settling(message, 'dead')], 'worker-1')).toEqual([{ status: 'ok' }])
    expect(await bench().look.deadLetters(name)).toHaveLength(1)
  })

  test('dead letters are listed in pages, oldest first', async () => {
    const { name, messages } = await deadQueue([1, 2, 3, 4, 5])
    const first = await bench().queue.deadLetters(name, { limit: 2 })
    expect(first).toMatchObject([
      {
        originKey: messages[0]?.originKey,
        reason: 'unrecoverable',
        error: 'because 0',
        attempts: 3,
        deliveries: 1,
        message: 1,
      },
      { message: 2 },
    ])
    const rest = await bench().queue.deadLetters(name, { afterId: first[1]?.msgId ?? expect.fail() })
    expect(rest.map(({ message }) => message)).toEqual([3, 4, 5])
  })

  test('a redrive picks by id, by reason, by number, or all, oldest first', async () => {
    const { name } = await deadQueue([1, 2, 3, 4, 5, 6], ['unrecoverable', 'attempts_exhausted'])
    const letters = await bench().queue.deadLetters(name, {})
    const back = async () => (await bench().look.messages(name)).map(({ message }) => message)
    const id = (message: number) =>
      letters.find((letter) => letter.message === message)?.msgId ?? expect.fail()
    expect(await bench().queue.redrive(name, { msgIds: [] }), 'an empty list is not everything').toEqual([])
    expect(await bench().queue.redrive(name, { msgIds: [id(5), id(3), '999'] })).toMatchObject([
      { deadMsgId: id(3) },
      { deadMsgId: id(5) },
    ])
    expect(await back()).toEqual([3, 5])
    await bench().queue.redrive(name, { reason: 'attempts_exhausted', limit: 2 })
    expect(await back()).toEqual([3, 5, 2, 4])
    await bench().queue.redrive(name, {})
    expect(await back()).toEqual([3, 5, 2, 4, 1, 6])
    expect(await bench().queue.redrive(name, {})).toEqual([])
  })

  test('many letters come back in their order', async () => {
    const { name } = await deadQueue(Array.from({ length: 100 }, (_, i) => i))
    await bench().queue.redrive(name, { limit: 1000 })
    expect((await bench().look.messages(name)).map(({ message }) => message)).toEqual(
      Array.from({ length: 100 }, (_, i) => i),
    )
  })

  test('a message keeps its origin key over deaths and redrives, and starts with a clean history', async () => {
    const name = await bench().newQueue()
    await bench().queue.send([{ queue: name, message: { pay: 100 }, headers: { h: 1 } }])
    let message = await bench().readOne(name)
    const { originKey } = message
    await bench().queue.settle([settling(message, 'retry')], 'worker-1')
    await bench().look.expire(name)
    for (let round = 0; round < 3; round++) {
      message = await bench().readOne(name)
      expect(message.originKey).toBe(originKey)
      await bench().queue.settle([settling(message, 'dead')], 'worker-1')
      const [letter] = await bench().queue.deadLetters(name, {})
      expect(letter?.originKey).toBe(originKey)
      const [redriven] = await bench().queue.redrive(name, {})
      const [stored] = await bench().look.messages(name)
      expect(stored?.msg_id).toBe(redriven?.msgId)
    }
    message = await bench().readOne(name)
    expect(message).toMatchObject({
      originKey,
      delivery: 1,
      failures: 0,
      interruptions: 0,
      payload: { pay: 100 },
      headers: { h: 1 },
    })
  })

  test('two redrives at once bring every letter back once', async () => {
    const { name } = await deadQueue(Array.from({ length: 60 }, (_, i) => i))
    const redrive = () => bench().queue.redrive(name, {})
    const ids = (await Promise.all([redrive(), redrive(), redrive()]))
      .flat()
      .map(({ deadMsgId }) => deadMsgId)
    expect(new Set(ids).size).toBe(ids.length)
    // What another one had locked was passed over.
    ids.push(...(await redrive()).map(({ deadMsgId }) => deadMsgId))
    expect(ids).toHaveLength(60)
    expect(await bench().look.messages(name)).toHaveLength(60)
    expect(await bench().look.deadLetters(name)).toHaveLength(0)
  })

  test('a redrive into a queue that is gone changes nothing', async () => {
    const { name } = await deadQueue([1, 2])
    await bench().sql`select pgmq.drop_queue(${name}::text)`
    await expect(bench().queue.redrive(name, {})).rejects.toMatchObject({ kind: 'missing_queue' })
    expect(await bench().look.deadLetters(name)).toHaveLength(2)
  })

  test('messages that others put into a dead-letter queue are listed and left where they are', async () => {
    const { name } = await deadQueue([1])
    for (const foreign of ['text', { message: 1 }, null, ['message']]) {
      await bench().sql`select pgmq.send(${`${name}_dlq`}::text, ${bench().sql.json(foreign)}::jsonb)`
    }
    const reasons = (await bench().queue.deadLetters(name, {})).map(({ reason }) => reason)
    expect(reasons).toEqual(['unrecoverable', ...Array(4).fill('not a dead letter of queue-worker')])
    expect(await bench().queue.redrive(name, {})).toHaveLength(1)
    expect(await bench().look.deadLetters(name)).toHaveLength(4)
  })

  test('discarding deletes the letters named and no others', async () => {
    const { name } = await deadQueue([1, 2, 3])
    const [first, second] = await bench().queue.deadLetters(name, {})
    expect(await bench().queue.discardDeadLetters(name, { msgIds: [] })).toEqual({
      discarded: 0,
      lastId: null,
    })
    const chosen = [first?.msgId ?? '', second?.msgId ?? '', '999']
    expect(await bench().queue.discardDeadLetters(name, { msgIds: chosen })).toEqual({
      discarded: 2,
      lastId: second?.msgId,
    })
    expect((await bench().queue.deadLetters(name, {})).map(({ message }) => message)).toEqual([3])
  })

  test('letters are chosen by reason, a part of the error, time and range, and counted', async () => {
    const { name } = await deadQueue([1, 2, 3, 4, 5, 6], ['unrecoverable', 'attempts_exhausted'])
    const letters = await bench().queue.deadLetters(name, {})
    const id = (n: number) => letters[n - 1]?.msgId ?? expect.fail()
    const chosen = async (filter: LetterFilter) => {
      const listed = (await bench().queue.deadLetters(name, filter)).map(({ message }) => message)
      expect((await bench().queue.countDeadLetters(name, filter)).letters).toBe(listed.length)
      return listed
    }
    expect(await chosen({ reason: 'attempts_exhausted' })).toEqual([2, 4, 6])
    expect(await chosen({ error: 'BECAUSE 3' })).toEqual([4])
    expect(await chosen({ error: '%' }), 'no wildcards').toEqual([])
    expect(await chosen({ afterId: id(2), upToId: id(4), reason: 'unrecoverable' })).toEqual([3])
    await bench()
      .sql`update ${bench().look.table('q', `${name}_dlq`)} set enqueued_at = '2026-01-02' where msg_id <= ${id(2)}`
    expect(await chosen({ before: new Date('2026-01-03') })).toEqual([1, 2])
    expect(await chosen({ since: new Date('2026-01-03'), error: 'because' })).toEqual([3, 4, 5, 6])
    expect(await bench().queue.countDeadLetters(name, {})).toEqual({
      letters: 6,
      newestId: id(6),
      reasons: { unrecoverable: 3, attempts_exhausted: 3 },
      next: null,
    })
    expect(
      await bench().queue.redrive(name, { before: new Date('2026-01-03'), error: 'because 1' }),
    ).toMatchObject([{ deadMsgId: id(2) }])
    expect(await bench().queue.discardDeadLetters(name, { error: 'because', limit: 2 })).toEqual({
      discarded: 2,
      lastId: id(3),
    })
    expect(await chosen({})).toEqual([4, 5, 6])
  })

  test('a count with a limit looks at no more letters than that, whether they fit or not', async () => {
    const { name } = await deadQueue([1, 2, 3, 4, 5], ['unrecoverable', 'attempts_exhausted'])
    const [first, second, third, fourth, fifth] = await bench().queue.deadLetters(name, {})
    const count = (options: CountOptions) => bench().queue.countDeadLetters(name, options)
    expect(await count({ limit: 2, reason: 'unrecoverable' })).toEqual({
      letters: 1,
      newestId: first?.msgId,
      reasons: { unrecoverable: 1 },
      next: second?.msgId,
    })
    const rest = { afterId: second?.msgId, reason: 'unrecoverable' } as const
    expect(await count({ ...rest, limit: 2 })).toMatchObject({ newestId: third?.msgId, next: fourth?.msgId })
    expect(await count({ ...rest, limit: 3 })).toMatchObject({ letters: 2, next: fifth?.msgId })
    expect(await count({ ...rest, limit: 4 })).toMatchObject({ letters: 2, next: null })
    expect(await count({ afterId: fifth?.msgId, limit: 1 })).toMatchObject({ letters: 0, next: null })
    const some = [second?.msgId ?? '', fourth?.msgId ?? '']
    expect(await count({ msgIds: some, limit: 1 })).toMatchObject({ letters: 1, next: second?.msgId })
    expect(await count({ msgIds: [], limit: 1 })).toMatchObject({ letters: 0, next: null })
    // No limit is below one letter: it would never come to an end.
    expect(await count({ limit: 0 })).toMatchObject({ letters: 1, next: first?.msgId })
  })

  test('large letters come in pages that fit, and without their originals all at once', async () => {
    const { name } = await deadQueue([1, 2, 3])
    await bench().sql`
      insert into ${bench().look.table('q', `${name}_dlq`)} (vt, message)
      select d.vt, jsonb_set(d.message, '{message}', to_jsonb(repeat(md5(n::text), 100000)))
      from ${bench().look.table('q', `${name}_dlq`)} d, generate_series(1, 9) n where d.message -> 'message' = '1'`
    const pages: number[] = []
    const ids: string[] = []
    for (;;) {
      const page = await bench().queue.deadLetters(name, { afterId: ids.at(-1) })
      if (page.length === 0) break
      pages.push(page.length)
      ids.push(...page.map(({ msgId }) => msgId))
    }
    // The three small ones make room for two large ones; 8 MiB hold no third.
    expect(pages).toEqual([5, 2, 2, 2, 1])
    expect(ids).toEqual((await bench().look.deadLetters(name)).map(({ msg_id }) => msg_id))
    const all = await bench().queue.deadLetters(name, { withMessages: false, limit: 1000 })
    expect(all).toHaveLength(12)
    expect(all.at(-1)).toMatchObject({ reason: 'unrecoverable', error: 'because 0', message: undefined })
  })

  test('nothing is discarded unless somebody says what', async () => {
    const { name } = await deadQueue([1, 2])
    await expect(bench().queue.discardDeadLetters(name, { limit: 5 })).rejects.toThrow(/which dead letters/)
    expect(await bench().look.deadLetters(name)).toHaveLength(2)
    expect(await bench().queue.discardDeadLetters(name, { all: true })).toMatchObject({ discarded: 2 })
  })

  test('a redrive with a pace delays each message by its place', async () => {
    const { name } = await deadQueue(Array.from({ length: 5 }, (_, i) => i))
    await bench().queue.redrive(name, { perSecond: 0.1, delaySeconds: 100 })
    const due = (await bench().look.messages(name)).map(({ vt }) => vt.getTime())
    expect(due.map((at) => at - (due[0] ?? 0))).toEqual([0, 10_000, 20_000, 30_000, 40_000])
    const [row] = await bench()
      .sql`select ${new Date(due[0] ?? 0)}::timestamptz - clock_timestamp() between '60 s' and '100 s' as delayed`
    expect(row).toEqual({ delayed: true })
    for (const perSecond of [0, -1]) {
      await expect(bench().queue.redrive(name, { perSecond })).rejects.toThrow(/pace/)
    }
  })

  test('a queue that never had dead letters is named', async () => {
    await expect(bench().queue.deadLetters('no_such_queue', {})).rejects.toMatchObject({
      kind: 'missing_queue',
    })
    await expect(bench().queue.redrive('no_such_queue', {})).rejects.toMatchObject({ kind: 'missing_queue' })
  })
}
