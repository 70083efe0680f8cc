/** Messages by state, page by page: each once, found by what is in them, whatever happens to the queue meanwhile. */
import { expect, test } from 'vitest'
import type { MessagePage, MessageState, MessagesOptions } from '../../../src/queue/dashboard.ts'
import type { Suite } from '../../support/bench.ts'
import { settling } from '../../support/bench.ts'

export const pagesSuite: Suite = (bench) => {
  const page = (queue: string, options: MessagesOptions) => bench().queue.messages(queue, options)
  const ids = ({ messages }: MessagePage) => messages.map(({ msgId }) => msgId)

  /** All pages of a state; `between` runs after each. */
  async function all(queue: string, options: MessagesOptions, between = async (_page: MessagePage) => {}) {
    const found: MessagePage['messages'][number][] = []
    let after: string | null = null
    do {
      const part: MessagePage = await page(queue, { ...options, after })
      found.push(...part.messages)
      after = part.next
      await between(part)
    } while (after !== null)
    return found
  }
  const idsOfAll = async (queue: string, options: MessagesOptions) =>
    (await all(queue, options)).map(({ msgId }) => msgId)

  test('each message is shown in the state that it is in', async () => {
    const name = await bench().newQueue(7)
    await bench().queue.send([{ queue: name, message: { n: 8 }, delaySeconds: 60 }])
    const read = await bench().read(name)
    const kinds = ['retry', 'snooze', 'release', 'dead', 'archive'] as const
    const settlements = kinds.map((kind, i) => settling(read[i] ?? expect.fail(), kind))
    await bench().queue.settle(settlements, 'worker-1')
    const states: MessageState[] = ['ready', 'in_flight', 'delayed', 'retrying', 'dead', 'archived']
    const found = await Promise.all(states.map((state) => page(name, { state })))
    const shown = Object.fromEntries(states.map((state, i) => [state, ids(found[i] ?? expect.fail())]))
    const idOf = (i: number) => read[i]?.msgId
    const letter = (await bench().look.deadLetters(name))[0]?.msg_id
    expect(shown).toEqual({
      ready: [idOf(2)],
      in_flight: [idOf(5), idOf(6)],
      delayed: ['8', idOf(1)],
      retrying: [idOf(0)],
      dead: [letter],
      archived: [idOf(4)],
    })
    expect(found.map(({ next }) => next)).toEqual(states.map(() => null))
    const time = { enqueuedAt: expect.any(String), at: expect.any(String) }
    expect(found[3]?.messages).toEqual([
      {
        ...{
          msgId: idOf(0),
          ...time,
          deliveries: 1,
          failures: 1,
          error: 'it failed',
          reason: null,
          workerId: 'worker-1',
        },
        ...{ preview: '{"n": 1}', bytes: 8 },
      },
    ])
    expect(found[4]?.messages).toEqual([
      {
        ...{
          msgId: letter,
          enqueuedAt: read[3]?.enqueuedAt,
          at: expect.any(String),
          deliveries: 1,
          failures: 1,
        },
        ...{
          error: 'it can never work',
          reason: 'unrecoverable',
          workerId: 'worker-1',
          preview: '{"n": 4}',
          bytes: 8,
        },
      },
    ])
    expect(found[1]?.messages[0]).toMatchObject({ deliveries: 1, failures: 0, error: null, workerId: null })
  })

  test('pages go through all messages, each once, also when many are due at the very same time', async () => {
    const name = await bench().newQueue()
    const { look, sql } = bench()
    await sql`insert into ${look.table('q', name)} (vt, message)
      select now() - (n / 40) * interval '1 second', to_jsonb(n) from generate_series(1, 119) n`
    await sql`insert into ${look.table('a', name)} (msg_id, read_ct, enqueued_at, archived_at, vt, message)
      select n, 1, now(), now() - (n / 40) * interval '1 second', now(), to_jsonb(n) from generate_series(1, 119) n`
    await sql`insert into ${look.table('q', `${name}_dlq`)} (vt, message) select now(), to_jsonb(n) from generate_series(1, 119) n`
    for (const state of ['ready', 'archived', 'dead'] as const) {
      const found = await all(name, { state, limit: 17 })
      expect(new Set(found.map(({ msgId }) => msgId)).size, state).toBe(119)
      expect(found.length, state).toBe(119)
      const times = found.map(({ at }) => at)
      expect(times, state).toEqual(state === 'ready' ? times.toSorted() : times.toSorted().toReversed())
    }
  })

  test.each(['ready', 'dead'] as const)(
    'what leaves the queue between two pages hides no other: %s',
    async (state) => {
      const name = await bench().newQueue()
      const { look, sql } = bench()
      const table = look.table('q', state === 'dead' ? `${name}_dlq` : name)
      await sql`insert into ${table} (vt, message)
      select case when n <= 20 then now() - interval '1 minute' else clock_timestamp() end, to_jsonb(n) from generate_series(1, 40) n`
      const found = await all(name, { state, limit: 7 }, async (part) => {
        await sql`delete from ${table} where msg_id = any (${ids(part)}::bigint[])`
      })
      expect(found.length).toBe(40)
    },
  )

  test('messages are found by a field, a part of their text, an error, a reason and times', async () => {
    const name = await bench().newQueue([
      { to: { name: 'Ann' }, n: 1 },
      { to: { name: 'Bob' }, n: 2 },
      { to: { name: 'ann' }, n: 3 },
      'no object',
    ])
    const ready = { state: 'ready' } as const
    const field = (path: string[], value: string) => idsOfAll(name, { ...ready, search: { path, value } })
    expect(await field(['to', 'name'], 'Ann')).toEqual(['1'])
    expect(await field(['n'], '2')).toEqual(['2'])
    expect(await field(['n'], '%')).toEqual([])
    expect(await idsOfAll(name, { ...ready, text: 'ANN' })).toEqual(['1', '3'])
    expect(await idsOfAll(name, { ...ready, text: 'a\u0000' })).toEqual([])
    const soon = new Date(Date.now() + 60_000)
    expect(await idsOfAll(name, { ...ready, before: soon })).toHaveLength(4)
    expect(await idsOfAll(name, { ...ready, since: soon })).toEqual([])
    const [first, second, third] = await bench().read(name)
    if (!first || !second || !third) return expect.fail()
    const dead = { kind: 'dead', reason: 'invalid_payload', error: 'No Such Mailbox', attempts: 1 } as const
    await bench().queue.settle(
      [settling(first, dead), settling(second, 'retry'), settling(third, 'dead')],
      'w',
    )
    expect(await idsOfAll(name, { state: 'retrying', error: 'IT f' })).toEqual(['2'])
    expect(await idsOfAll(name, { state: 'retrying', error: 'other' })).toEqual([])
    const letters = { state: 'dead' } as const
    expect(await idsOfAll(name, letters)).toEqual(['2', '1'])
    expect(await idsOfAll(name, { ...letters, error: 'mailbox' })).toEqual(['1'])
    expect(await idsOfAll(name, { ...letters, reason: 'unrecoverable' })).toEqual(['2'])
    expect(await idsOfAll(name, { ...letters, search: { path: ['to', 'name'], value: 'Ann' } })).toEqual([
      '1',
    ])
    expect(await idsOfAll(name, { ...letters, since: soon })).toEqual([])
  })

  test('a page looks at no more than it may, and shows no more than fits', async () => {
    const name = await bench().newQueue()
    const { look, sql } = bench()
    await sql`insert into ${look.table('q', name)} (vt, message) select now() + interval '1 hour', to_jsonb(n) from generate_series(1, 20050) n`
    const none = await page(name, { state: 'retrying' })
    expect(none).toEqual({ messages: [], next: expect.any(String), lookedAt: 20_000 })
    expect(await page(name, { state: 'retrying', after: none.next })).toEqual({
      messages: [],
      next: null,
      lookedAt: 50,
    })
    const large = await bench().newQueue()
    await sql`insert into ${look.table('q', large)} (vt, message)
      select now(), to_jsonb((select string_agg(md5(random()::text), '') from generate_series(1, 100000 + n) x)) from generate_series(1, 4) n`
    const first = await page(large, { state: 'ready' })
    expect(first.messages.length).toBeLessThan(4)
    expect(first.messages[0]).toMatchObject({
      bytes: 3_200_034,
      preview: expect.stringMatching(/^"[0-9a-f]{299}$/),
    })
    expect(await idsOfAll(large, { state: 'ready' })).toEqual(['1', '2', '3', '4'])
  })

  test('a queue without dead-letter queue or archive has empty pages, and a missing one is refused', async () => {
    const name = await bench().newQueue(1)
    await bench().sql`select pgmq.drop_queue(${`${name}_dlq`})`
    expect(await page(name, { state: 'dead' })).toEqual({ messages: [], next: null, lookedAt: 0 })
    await bench().sql.begin(async (sql) => {
      await sql`select pg_catalog.set_config('search_path', '', true)`
      await sql.unsafe(`alter table pgmq."a_${name}" rename to "b_${name}"`)
    })
    expect(await page(name, { state: 'archived' })).toEqual({ messages: [], next: null, lookedAt: 0 })
    await bench().sql.unsafe(`alter table pgmq."b_${name}" rename to "a_${name}"`)
    await expect(page('no_such_queue', { state: 'ready' })).rejects.toMatchObject({ kind: 'missing_queue' })
  })

  test('what no page can be made of is refused with what to do', async () => {
    const name = await bench().newQueue()
    const refused = (options: object) => expect(page(name, { state: 'ready', ...options })).rejects
    await refused({ state: 'lost' }).toThrow(/messages of which state/)
    await refused({ reason: 'unrecoverable' }).toThrow(/only dead letters have a reason/)
    await refused({ search: { path: [], value: 'x' } }).toThrow(/this is no search/)
    await refused({ after: 'yesterday' }).toMatchObject({ kind: 'rejected' })
  })
}
