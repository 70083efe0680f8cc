/** The effects ledger, the registry of workers, status, counts, refused versions. */
import { afterEach, expect, test } from 'vitest'
import { listMigrations } from '../../../src/services/migrations.ts'
import type { Suite } from '../../support/bench.ts'
import { settling } from '../../support/bench.ts'
import { uniqueQueue } from '../../support/queues.ts'

export const recordSuite: Suite = (bench) => {
  const workers: string[] = []
  afterEach(async () => {
    await bench().sql`delete from queue_worker.workers where worker_id = any (${workers.splice(0)})`
  })

  test('a step runs once over all deliveries of a message', async () => {
    const key = uniqueQueue('key')
    const start = (step: string, token: string, repeat = false) =>
      bench().queue.ledgerStart(key, step, repeat, token)
    expect(await start('charge', 'run-1')).toEqual({ state: 'new' })
    expect(await start('charge', 'run-2')).toEqual({ state: 'uncertain', startedAt: expect.any(String) })
    expect(await start('other', 'run-2')).toEqual({ state: 'new' })
    await bench().queue.ledgerFinish(key, 'charge', { id: 'ch_1' })
    expect(await start('charge', 'run-3')).toEqual({ state: 'done', result: { id: 'ch_1' } })
    await bench().queue.ledgerFinish(key, 'charge', { id: 'ch_2' })
    expect(await start('charge', 'run-3', true), 'the first result stands').toEqual({
      state: 'done',
      result: { id: 'ch_1' },
    })
  })

  test('an uncertain step is repeated when asked to, and a step that did not happen is new again', async () => {
    const key = uniqueQueue('key')
    const start = (token: string, repeat: boolean) => bench().queue.ledgerStart(key, 'mail', repeat, token)
    await start('run-1', false)
    expect(await start('run-2', true)).toEqual({ state: 'new' })
    await bench().queue.ledgerForget(key, 'mail', 'run-1')
    expect(await start('run-3', false), 'an older run cannot take back a newer one').toMatchObject({
      state: 'uncertain',
    })
    await bench().queue.ledgerForget(key, 'mail', 'run-2')
    expect(await start('run-3', false)).toEqual({ state: 'new' })
    await bench().queue.ledgerForget(key, 'mail')
    expect(await start('run-4', false)).toEqual({ state: 'new' })
    await bench().queue.ledgerFinish(key, 'mail', undefined)
    await bench().queue.ledgerForget(key, 'mail')
    expect(await start('run-5', false), 'what is done stays done').toEqual({ state: 'done', result: null })
  })

  test('of two runs that start a step at once only one is told to run it', async () => {
    for (let round = 0; round < 10; round++) {
      const key = uniqueQueue('key')
      const runs = await Promise.all(
        ['a', 'b', 'c'].map((token) => bench().queue.ledgerStart(key, 's', false, token)),
      )
      expect(runs.map(({ state }) => state).toSorted()).toEqual(['new', 'uncertain', 'uncertain'])
    }
  })

  test('a result that no jsonb can hold is stored with the offending characters replaced', async () => {
    const key = uniqueQueue('key')
    await bench().queue.ledgerFinish(key, 's', {
      'k\u0000': ['a\u0000b', '\ud83d', '\ud83d\ude00', null, 1.5, '\\u0000'],
    })
    expect(await bench().queue.ledgerStart(key, 's', false, 't')).toEqual({
      state: 'done',
      result: { 'k\uFFFD': ['a\uFFFDb', '\uFFFD', '\ud83d\ude00', null, 1.5, '\\u0000'] },
    })
  })

  test('a redrive that is told to forget lets uncertain steps run again, and keeps done ones', async () => {
    const name = await bench().newQueue(1)
    const message = await bench().readOne(name)
    const start = (step: string) => bench().queue.ledgerStart(message.originKey, step, false, uniqueQueue())
    await start('uncertain')
    await start('done')
    await bench().queue.ledgerFinish(message.originKey, 'done', 1)
    const redriveAgain = async (forgetUncertain: boolean) => {
      await bench().queue.settle([settling(await bench().readOne(name), 'dead')], 'worker-1')
      await bench().queue.redrive(name, { forgetUncertain })
    }
    await bench().look.expire(name)
    await redriveAgain(false)
    expect(await start('uncertain')).toMatchObject({ state: 'uncertain' })
    await redriveAgain(true)
    expect(await start('uncertain')).toEqual({ state: 'new' })
    expect(await start('done')).toEqual({ state: 'done', result: 1 })
  })

  test('a worker tells the registry that it lives and hears when it is to drain', async () => {
    const workerId = uniqueQueue('worker')
    workers.push(workerId)
    const beat = {
      workerId,
      instance: 'i-1',
      version: '1.2.3',
      host: 'box',
      pid: 42,
      queues: ['a', 'b'],
      inFlight: 3,
    }
    expect(await bench().queue.beat(beat)).toEqual({ drain: false })
    expect(await bench().queue.beat({ ...beat, instance: 'i-2' })).toEqual({ drain: false })
    await bench()
      .sql`update queue_worker.workers set drain = true where worker_id = ${workerId} and instance = 'i-1'`
    expect(await bench().queue.beat({ ...beat, inFlight: 1, stopping: true })).toEqual({ drain: true })
    expect(await bench().queue.beat({ ...beat, instance: 'i-2' })).toEqual({ drain: false })
    const [row] = await bench()
      .sql`select * from queue_worker.workers where worker_id = ${workerId} and instance = 'i-1'`
    expect(row).toMatchObject({
      version: '1.2.3',
      host: 'box',
      pid: 42,
      queues: ['a', 'b'],
      in_flight: 1,
      stopping: true,
    })
    expect(row?.seen_at.getTime()).toBeGreaterThan(row?.started_at.getTime())
  })

  test('the status tells versions, capabilities and whom the database takes us for', async () => {
    const [server] = await bench().sql`select current_setting('server_version') as version,
      (select extversion from pg_extension where extname = 'pgmq') as pgmq`
    const newest = (await listMigrations()).findLast(({ name }) => !name.includes('_grants'))
    expect(await bench().queue.status()).toEqual({
      protocol: 2,
      migration: newest?.name.slice(0, 14),
      pgmqVersion: server?.pgmq,
      postgresVersion: server?.version,
      headers: true,
      role: bench().kind === 'rpc' ? 'service_role' : 'postgres',
    })
  })

  test('counts tell ready, hidden and dead messages of the queues named', async () => {
    const [a, b] = [await bench().newQueue(4), await bench().newQueue()]
    const messages = await bench().read(a, { limit: 2 })
    await bench().queue.settle(
      messages.slice(0, 1).map((message) => settling(message, 'dead')),
      'worker-1',
    )
    const counts = await bench().queue.counts([b, a, 'no_such_queue'])
    expect(counts.toSorted((x, y) => y.ready - x.ready)).toEqual([
      {
        ...{ queue: a, ready: 2, hidden: 1, dead: 1, oldestReadySeconds: expect.any(Number), paused: false },
        ...{ rateLimit: null, breaker: null },
      },
      {
        ...{ queue: b, ready: 0, hidden: 0, dead: 0, oldestReadySeconds: null, paused: false },
        ...{ rateLimit: null, breaker: null },
      },
    ])
    const all = (await bench().queue.counts()).map(({ queue }) => queue)
    expect(all).toEqual(expect.arrayContaining([a, b]))
    expect(all).not.toContain(`${a}_dlq`)
    expect(await bench().queue.counts([`${a}_dlq`])).toMatchObject([{ ready: 1 }])
    expect(await bench().queue.counts([])).toEqual([])
  })

  test('a worker that is newer than the migration is refused with the remedy', async () => {
    for (const entryPoint of ['read', 'settle', 'status']) {
      await expect(bench().transport.call(entryPoint, { protocol: 3 })).rejects.toMatchObject({
        kind: 'old_migration',
        remedy: expect.stringContaining('queue-worker migrate'),
      })
    }
  })

  test('a request without a protocol version, or that is no object, is refused', async () => {
    for (const request of [
      {},
      [],
      'text',
      7,
      { protocol: 'one' },
      { protocol: 0 },
      { protocol: 1.5 },
      { protocol: 1e12 },
    ]) {
      await expect(bench().transport.call('status', request), JSON.stringify(request)).rejects.toMatchObject({
        transient: false,
      })
    }
  })

  test('a queue gets no name that pgmq or its dead-letter queue could not bear', async () => {
    for (const name of ['', 'Upper', 'a b', 'a;b', "a'b", 'ä', 'q'.repeat(44), 'a"b', 'a\nb', 'ab\n']) {
      await expect(bench().queue.ensureQueue(name, { notify: false }), name).rejects.toMatchObject({
        kind: 'rejected',
      })
    }
    const longest = `${uniqueQueue('long')}_${'q-'.repeat(20)}`.slice(0, 43)
    await bench().queue.ensureQueue(longest, { notify: true })
    await bench().queue.send([{ queue: longest, message: 1 }])
    await bench().queue.settle([settling(await bench().readOne(longest), 'dead')], 'worker-1')
    expect(await bench().queue.deadLetters(longest, {})).toHaveLength(1)
    await bench().look.drop(longest)
  })
}
