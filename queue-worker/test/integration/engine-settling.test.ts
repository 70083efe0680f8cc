/** How the engine records what became of messages when that is not plain: transactions, refusals, suspects. */
import { fileURLToPath } from 'node:url'
import { describe, expect, inject, test } from 'vitest'
import { createWorker, defineProcessor, SetupError } from '../../src/library.ts'
import { engineBench, payload } from '../support/engine-bench.ts'
import { openTransport } from '../support/transports.ts'
import { until } from '../support/worker.ts'

const numbered = (count: number) => Array.from({ length: count }, (_, n) => ({ n }))
const missingModule = fileURLToPath(new URL('no-such-module.ts', import.meta.url))

describe.each(['rpc', 'postgres'] as const)('the engine over %s', (kind) => {
  const bench = engineBench(kind)

  test('a success that cannot be recorded fails alone, whatever it was to be recorded with', async () => {
    const queue = await bench.newQueue()
    const processor = defineProcessor({
      queue,
      payload,
      maxAttempts: 1,
      concurrency: 50,
      process({ n }, { send }) {
        if (n === 7) send('no_such_queue_2', {})
      },
    })
    await bench.send(queue, numbered(50))
    await bench.start([processor])
    await until('all have ended', async () => (await bench.look.messages(queue)).length === 0)
    expect(await bench.archived(queue)).toBe(49)
    const dead = await bench.look.deadLetters(queue)
    expect(dead.map(({ message }) => message.message)).toEqual([{ n: 7 }])
    expect(dead[0]?.message.dead_letter.error).toContain('could not be recorded')
  })

  test('a send of what jsonb cannot hold, or to what is no queue name, throws where it is asked for', async () => {
    const queue = await bench.newQueue()
    const errors: string[] = []
    const processor = defineProcessor({
      queue,
      payload,
      process(_, { send }) {
        for (const [name, value] of [
          ['Other Queue', {}],
          [queue, 'a\u0000b'],
          [queue, '\ud800'],
          [queue, undefined],
          [queue, 1n],
        ] as const) {
          try {
            send(name, value)
          } catch (error) {
            errors.push(String(error))
          }
        }
      },
    })
    await bench.send(queue, numbered(1))
    await bench.start([processor])
    await until('it is archived', async () => (await bench.archived(queue)) === 1)
    expect(errors).toHaveLength(5)
    expect(await bench.look.messages(queue)).toEqual([])
  })

  test('what a processor returns by the way puts nothing off', async () => {
    const queue = await bench.newQueue()
    const results: unknown[] = [42, 'done', {}, { snoozeSeconds: 'soon' }, [], true, null]
    const processor = defineProcessor({
      queue,
      payload,
      // As a processor written in JavaScript may do.
      process: (({ n }: { n: number }) => results[n]) as never,
    })
    await bench.send(queue, numbered(results.length))
    await bench.start([processor])
    await until('all are archived', async () => (await bench.archived(queue)) === results.length)
    expect(await bench.look.outcomes(queue)).toEqual([])
  })

  test('a child that cannot be started charges nothing and is told', async () => {
    const queue = await bench.newQueue()
    await bench.send(queue, numbered(3))
    for (let time = 0; time < 2; time += 1) {
      await bench.typed.read([{ queue, limit: 10, visibilityTimeoutSeconds: 60 }], 1_000_000)
      await bench.look.expire(queue)
    }
    const processor = defineProcessor({ queue, payload, process: () => {} })
    const worker = await bench.start([processor], { processorModules: [missingModule] })
    await until('they are put off', async () => (await bench.look.outcomes(queue)).length === 3)
    expect(new Set((await bench.look.outcomes(queue)).map(({ outcome }) => outcome))).toEqual(
      new Set(['snooze']),
    )
    // One attempt to start it, not one for each.
    expect(worker.events.filter((event) => event.name === 'isolationFailed')).toHaveLength(1)
    expect(worker.events.filter((event) => event.name === 'isolated')).toHaveLength(0)
    await bench.look.expire(queue)
    const { messages } = await bench.typed.read(
      [{ queue, limit: 10, visibilityTimeoutSeconds: 1 }],
      1_000_000,
    )
    for (const message of messages)
      expect(message).toMatchObject({ failures: 0, interruptions: 2, diedAlone: 0 })
  })

  test('an error while a processor is closed is told by done, and does not keep the rest open', async () => {
    const queue = await bench.newQueue()
    const processor = defineProcessor({
      queue,
      payload,
      process: () => {},
      close: () => Promise.reject(new Error('the pump is stuck')),
    })
    const worker = await bench.start([processor])
    await worker.stop('the test asks')
    await expect(worker.done).rejects.toThrow('the pump is stuck')
    expect(worker.health().state).toBe('stopped')
  })
})

test('a processor that uses transactions is refused over RPC before anything starts', () => {
  const connection = openTransport('rpc', inject('stack'))
  const processor = defineProcessor({ queue: 'any', payload, usesTransaction: true, process: () => {} })
  expect(() => createWorker({ connection, processors: [processor], logger: 'silent' })).toThrow(SetupError)
})

describe('a send inside a step', () => {
  const bench = engineBench('rpc')

  test('is refused where it happens, because a redelivery would skip it', async () => {
    const [queue, other] = [await bench.newQueue(), await bench.newQueue()]
    const processor = defineProcessor({
      queue,
      payload,
      maxAttempts: 1,
      process: async (_, { once, send }) => once('charge', () => send(other, {})),
    })
    await bench.send(queue, numbered(1))
    await bench.start([processor])
    await until('it is dead', async () => (await bench.look.deadLetters(queue)).length === 1)
    expect((await bench.look.deadLetters(queue))[0]?.message.dead_letter.error).toContain(
      'inside step "charge"',
    )
    expect(await bench.look.messages(other)).toEqual([])
  })
})

describe('a transaction of a processor', () => {
  const bench = engineBench('postgres')
  const effects = async (queue: string) => {
    const rows = await bench.sql<{ n: number }[]>`select n from ${bench.sql(`effects_${queue}`)} order by n`
    return rows.map(({ n }) => n)
  }
  const table = (queue: string) => `effects_${queue}`

  test('commits its writes and its sends with the settling, or nothing', async () => {
    const [queue, other] = [await bench.newQueue(), await bench.newQueue()]
    await bench.sql`create table ${bench.sql(table(queue))} (n int)`
    const processor = defineProcessor({
      queue,
      payload,
      usesTransaction: true,
      async process({ n }, { transaction, send, attempt }) {
        send(other, { n })
        await transaction(async (sql) => {
          await sql`insert into ${sql(table(queue))} values (${n})`
          if (n === 1 && attempt === 1) throw new Error('after the write')
        })
        expect(() => send(other, { n: -1 })).toThrow('would not be sent')
      },
    })
    await bench.send(queue, numbered(5))
    const worker = await bench.start([processor])
    await until('all are archived', async () => (await bench.archived(queue)) === 5)
    expect(await effects(queue)).toEqual([0, 1, 2, 3, 4])
    const sent = (await bench.look.messages(other)).map(({ message }) => (message as { n: number }).n)
    expect(sent.toSorted()).toEqual([0, 1, 2, 3, 4])
    // They are told like any other success.
    await until('all are told', () => worker.events.filter((event) => event.name === 'settled').length === 6)
    expect(worker.events.filter((event) => event.name === 'leaseLost')).toEqual([])
    await bench.sql`drop table ${bench.sql(table(queue))}`
  })

  test('sends what is sent inside it', async () => {
    const [queue, other] = [await bench.newQueue(), await bench.newQueue()]
    const processor = defineProcessor({
      queue,
      payload,
      usesTransaction: true,
      process: async ({ n }, { transaction, send }) => {
        await transaction(async () => send(other, { n }))
      },
    })
    await bench.send(queue, numbered(3))
    await bench.start([processor])
    await until('all are archived', async () => (await bench.archived(queue)) === 3)
    const sent = (await bench.look.messages(other)).map(({ message }) => (message as { n: number }).n)
    expect(sent.toSorted()).toEqual([0, 1, 2])
  })

  test('of a delivery that another has overtaken is rolled back', async () => {
    const queue = await bench.newQueue()
    await bench.sql`create table ${bench.sql(table(queue))} (n int)`
    let runs = 0
    const processor = defineProcessor({
      queue,
      payload,
      usesTransaction: true,
      async process({ n }, { transaction }) {
        runs += 1
        const isFirst = runs === 1
        await transaction(async (sql) => {
          await sql`insert into ${sql(table(queue))} values (${n})`
          if (!isFirst) return
          await bench.look.expire(queue)
          await bench.typed.read([{ queue, limit: 1, visibilityTimeoutSeconds: 1 }], 1000)
        })
      },
    })
    await bench.send(queue, [{ n: 1 }])
    const worker = await bench.start([processor])
    await until(
      'the delivery is lost',
      () => worker.events.some((event) => event.name === 'finished') || runs === 2,
    )
    await until('it is archived', async () => (await bench.archived(queue)) === 1)
    expect(await effects(queue)).toEqual([1])
    expect(runs).toBe(2)
    expect(await bench.look.outcomes(queue)).toEqual([])
    await bench.sql`drop table ${bench.sql(table(queue))}`
  })
})
