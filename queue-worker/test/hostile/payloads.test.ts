/** Whatever JSON is sent: a worker processes it exactly as it was, or buries it with a short error, and goes on with the rest. */
import fc from 'fast-check'
import { describe, expect, inject, test } from 'vitest'
import { z } from 'zod'
import { createProducer, defineProcessor, type Processor } from '../../src/library.ts'
import type { Send } from '../../src/queue/contract.ts'
import { KINDS } from '../support/cli-env.ts'
import { engineBench } from '../support/engine-bench.ts'
import { failureOf } from '../support/failure.ts'
import { forAll, nastyText } from '../support/hostile.ts'
import { openTransport } from '../support/transports.ts'
import { until } from '../support/worker.ts'

/** What both connections hold: in payloads it may be, in what is told of them not. */
const stack = inject('stack')
const SECRETS = [stack.secretKey, new URL(stack.databaseUrl).password]
const storable = nastyText.filter((text) => text.isWellFormed() && !text.includes('\u0000'))
const key = fc.oneof(
  storable,
  fc.constantFrom('__proto__', 'constructor', 'toString', 'then', 'toJSON', ...SECRETS),
)
const { value: json } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.oneof(
      storable,
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.maxSafeInteger(),
      fc.boolean(),
    ),
    fc.constantFrom(null, ...SECRETS, [], {}, { snoozeSeconds: 1e9 }),
    fc.array(tie('value'), { maxLength: 4 }),
    fc
      .array(fc.tuple(key, tie('value')), { maxLength: 4 })
      // Entries of its own, also for `__proto__`.
      .map((entries) => Object.fromEntries(entries)),
  ),
}))
/** What cannot be made in JavaScript, as text. */
const oddTexts = fc.constantFrom(
  '1e400',
  '-1e400',
  '1e-400',
  '123456789012345678901234567890.123456789',
  '{"a": 1, "a": 2}',
  '{"": {"": ""}}',
  `${'['.repeat(1000)}${']'.repeat(1000)}`,
  `${'{"a":'.repeat(500)}1${'}'.repeat(500)}`,
  `"${'x'.repeat(300_000)}"`,
  `[${'0,'.repeat(50_000)}0]`,
)
const text = fc.oneof({ weight: 4, arbitrary: json.map((value) => JSON.stringify(value)) }, oddTexts)
const strict = z.strictObject({ n: z.number().int(), list: z.array(z.string()).optional() })

/** The same text for the same value: keys in order, and a name for each number. */
function canonical(value: unknown): string {
  if (typeof value === 'number') return String(value === 0 ? 0 : value)
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const entries = Object.entries(value).map(([name, part]) => `${JSON.stringify(name)}:${canonical(part)}`)
  return `{${entries.toSorted().join()}}`
}

describe.each(KINDS)('over %s', (kind) => {
  const bench = engineBench(kind)
  const [secret = ''] = kind === 'rpc' ? SECRETS : SECRETS.toReversed()
  const given = new Map<string, { payload: string; headers: unknown }>()
  const remember = (queue: string, schema: z.ZodType): Processor =>
    defineProcessor({
      queue,
      payload: schema,
      process(payload, { messageId, headers }) {
        given.set(`${queue} ${messageId}`, { payload: canonical(payload), headers })
      },
    })

  /** As producers do who write SQL. */
  async function sendTexts(queue: string, messages: readonly string[], headers: string | null) {
    const rows = await bench.sql`
      select m.msg_id::text as id, t.text::jsonb::text as stored from unnest(${[...messages]}::text[]) with ordinality t(text, place),
        lateral (select pgmq.send(${queue}::text, t.text::jsonb, ${headers}::text::jsonb) as msg_id) m order by t.place`
    return rows.map(({ id, stored }) => ({ id: String(id), stored: String(stored) }))
  }

  /** Without their payloads, which are large. */
  async function count(prefix: 'q' | 'a', queue: string): Promise<number> {
    const [row] = await bench.sql`select count(*)::int as n from ${bench.look.table(prefix, queue)}`
    return row?.n
  }
  const isEmpty = async (queue: string) => (await count('q', queue)) === 0

  test('without a schema everything is processed and archived as it was sent', async () => {
    const queue = await bench.newQueue()
    await bench.start([remember(queue, z.unknown())])
    let total = 0
    const headers = fc.oneof(
      fc.constantFrom(null, '[1]', '"x"', '7', 'null', 'true'),
      fc.dictionary(key, json).map((one) => JSON.stringify(one)),
    )
    await forAll(
      fc.tuple(fc.array(text, { minLength: 1, maxLength: 25 }), headers),
      { runs: 8 },
      async ([texts, extra]) => {
        const sent = await sendTexts(queue, texts, extra)
        total += sent.length
        await until('all of them are archived', async () => (await count('a', queue)) === total)
        for (const [index, { id }] of sent.entries()) {
          const found = given.get(`${queue} ${id}`)
          expect(found?.payload).toBe(canonical(JSON.parse(texts[index] ?? '')))
          if (!extra?.startsWith('{')) expect(found?.headers).toBeNull()
          else expect(Object.keys(found?.headers ?? {})).toEqual(expect.arrayContaining(headersOf(extra)))
        }
        const kept =
          await bench.sql`select msg_id::text as id, message::text as stored from pgmq.${bench.sql(`a_${queue}`)}
        where msg_id = any (${sent.map(({ id }) => id)}::bigint[]) order by msg_id`
        expect(kept.map(({ id, stored }) => ({ id, stored }))).toEqual(sent)
      },
    )
    expect(await bench.look.messages(queue)).toEqual([])
    expect(await bench.look.deadLetters(queue)).toEqual([])
  })

  test('with a schema what does not fit is buried with a short error without secrets, and its neighbours are processed', async () => {
    const queue = await bench.newQueue()
    const worker = await bench.start([remember(queue, strict)])
    let [good, bad] = [0, 0]
    const longLists = fc.constantFrom(
      `{"n": 1, "list": [${'7,'.repeat(60_000)}7]}`,
      `{"n": 1, "${secret}": 1, "${'x'.repeat(990)}": 2}`,
      `{"n": 1, ${Array.from({ length: 20_000 }, (_, n) => `"${secret}${n}": 1`).join()}}`,
    )
    const any = fc.oneof({ weight: 9, arbitrary: text }, longLists, fc.constant('{"n": 5, "list": ["x"]}'))
    const batches = fc.array(any, { minLength: 1, maxLength: 20 })
    const { isComplete } = await forAll(batches, { runs: 6 }, async (texts) => {
      const mixed = texts.flatMap((one, index) => [one, `{"n": ${index}}`])
      const fits = mixed.map((one) => strict.safeParse(JSON.parse(one)).success)
      const sent = await sendTexts(queue, mixed, null)
      good += fits.filter((is) => is).length
      bad += fits.filter((is) => !is).length
      await until('all of them have ended', () => isEmpty(queue))
      expect(await count('a', queue)).toBe(good)
      expect(await count('q', `${queue}_dlq`)).toBe(bad)
      const dead = await bench.sql<{ id: string; original: string; reason: string; error: string }[]>`
        select message -> 'dead_letter' ->> 'msg_id' as id, (message -> 'message')::text as original,
          message -> 'dead_letter' ->> 'reason' as reason, message -> 'dead_letter' ->> 'error' as error
        from ${bench.look.table('q', `${queue}_dlq`)}
        where message -> 'dead_letter' ->> 'msg_id' = any (${sent.map(({ id }) => id)})`
      for (const [index, { id, stored }] of sent.entries()) {
        const letter = dead.find((one) => one.id === id)
        const processed = fits[index] ? canonical(JSON.parse(mixed[index] ?? '')) : undefined
        expect(given.get(`${queue} ${id}`)?.payload).toBe(processed)
        expect(letter === undefined).toBe(fits[index])
        if (letter === undefined) continue
        expect(letter.original).toBe(stored)
        expect(letter.reason).toBe('invalid_payload')
        expect(letter.error).toMatch(/the payload does not fit the schema of queue/)
        expect(letter.error.length).toBeLessThanOrEqual(6000)
        expect(letter.error).not.toContain(secret.slice(0, 12))
      }
    })
    for (const event of worker.events) {
      if (event.name === 'finished' && event.error) expect(event.error.message.length).toBeLessThan(15_000)
    }
    if (isComplete) expect(bad).toBeGreaterThan(0)
  })

  test('what jsonb cannot hold is refused where it is sent, in words, and nothing is sent with it', async () => {
    const queue = await bench.newQueue()
    const producer = createProducer(openTransport(kind, inject('stack')))
    const broken = fc.oneof(
      fc.constantFrom('\u0000', 'a\u0000b', '\ud800', 'x\udfff', '\udc00\ud800'),
      fc.constantFrom(() => 1, undefined, Symbol('s')),
    )
    const wrapped = broken.chain((one) =>
      fc.constantFrom<unknown>(one, [one].flat(), { a: { b: one } }, { [String(one)]: 1 }),
    )
    const isHurt = (value: unknown) => {
      const asText = JSON.stringify(value)
      return asText === undefined || /\\u0000|\\ud[89a-f]/.test(asText)
    }
    await forAll(wrapped.filter(isHurt), { runs: 60 }, async (message) => {
      await expect(producer.send(queue, message)).rejects.toThrow(
        /^the message of a send (is no JSON value but|holds a NUL character|holds half of a surrogate pair)/,
      )
      const sends: Send[] = [
        { queue, message: 1 },
        { queue, message },
      ]
      const failure = await failureOf(bench.typed.send(sends))
      expect(failure).toMatchObject({ kind: 'rejected', transient: false })
    })
    const deep = JSON.parse(`${'['.repeat(50_000)}${']'.repeat(50_000)}`)
    await expect(producer.send(queue, deep)).rejects.toThrow(/^the message of a send is nested too deeply/)
    const cycle: unknown[] = []
    cycle.push(cycle)
    await expect(producer.send(queue, cycle)).rejects.toThrow(/circular/)
    await expect(producer.send(queue, 1n)).rejects.toThrow(/BigInt/)
    await producer.close()
    expect(await bench.look.messages(queue)).toEqual([])
  })

  test('a dead letter with tens of thousands of keys does not run into the time limit of the server', async () => {
    const queue = await bench.newQueue()
    // Had the time grown with the square of the number of keys, it would be minutes.
    await bench.sql`select pgmq.send(${`${queue}_dlq`}::text, jsonb_build_object('dead_letter', '{}'::jsonb, 'message', (
      select jsonb_object_agg('key number ' || n, n) from generate_series(1, 40000) n)))`
    const [letter] = await bench.typed.deadLetters(queue, {})
    expect(Object.keys(letter?.message ?? {})).toHaveLength(40_000)
  })

  test('a schema that fails itself is a failure of the message, not of the worker', async () => {
    const queue = await bench.newQueue()
    const deep: z.ZodType = z.lazy(() => z.array(deep))
    const hurt = z.unknown().transform(() => {
      throw new Error(`the schema broke on ${secret}`)
    })
    const schema = z.union([deep, hurt])
    await bench.start([remember(queue, schema)], { queue: { maxAttempts: 2 } })
    await sendTexts(queue, [`${'['.repeat(2500)}${']'.repeat(2500)}`, '{}', '[[]]'], null)
    await until('all of them have ended', () => isEmpty(queue))
    expect((await count('a', queue)) + (await count('q', `${queue}_dlq`))).toBe(3)
    expect(await count('a', queue)).toBeGreaterThanOrEqual(1)
  })
})

function headersOf(text: string): string[] {
  return Object.keys(JSON.parse(text)).filter((name) => name !== '__proto__')
}
