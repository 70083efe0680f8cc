/** What a person on call asks: queues at one glance, and all that is known of one message wherever it is. */
import { afterEach, expect, test } from 'vitest'
import type { Inspected } from '../../../src/queue/operator.ts'
import type { Suite } from '../../support/bench.ts'
import { settling } from '../../support/bench.ts'
import { uniqueQueue } from '../../support/queues.ts'

export const operatorSuite: Suite = (bench) => {
  const workers: string[] = []
  afterEach(async () => {
    await bench().sql`delete from queue_worker.workers where worker_id = any (${workers.splice(0)})`
  })

  const inspect = async (queue: string, msgId: string | undefined) => {
    const answer = await bench().queue.inspect(queue, msgId ?? expect.fail('no id'))
    if (answer.state === 'unknown') throw new Error('nothing is known of it')
    return answer
  }
  const ends = ({ deliveries }: Exclude<Inspected, { state: 'unknown' }>) =>
    deliveries.map(({ outcome }) => outcome)

  test('an overview counts messages by state, workers, and tells the last error', async () => {
    const name = await bench().newQueue(6)
    await bench().queue.send([{ queue: name, message: 1, delaySeconds: 60 }])
    const [first, second, third, fourth, fifth, sixth] = await bench().read(name)
    if (!first || !second || !third || !fourth || !fifth || !sixth) throw new Error('not all were read')
    await bench().queue.settle(
      [
        settling(first, 'retry'),
        settling(second, 'snooze'),
        settling(third, 'release'),
        settling(fifth, 'archive'),
      ],
      'worker-1',
    )
    const dead = { kind: 'dead', reason: 'unrecoverable', error: 'the very last', attempts: 1 } as const
    await bench().queue.settle([settling(fourth, dead)], 'worker-1')
    const workerId = uniqueQueue('worker')
    workers.push(workerId)
    const beat = { workerId, version: '1', host: 'h', pid: 1, queues: [name], inFlight: 0 }
    await bench().queue.beat({ ...beat, instance: 'a' })
    await bench().queue.beat({ ...beat, instance: 'b', stopping: true })
    await bench().queue.setPaused(name, true)
    expect(await bench().queue.overview([name, 'no_such_queue'])).toEqual([
      {
        queue: name,
        ready: 1,
        inFlight: 1,
        delayed: 2,
        retrying: 1,
        dead: 1,
        estimated: [],
        oldestReadySeconds: expect.any(Number),
        paused: true,
        rateLimit: null,
        breaker: null,
        workers: 1,
        lastError: 'the very last',
        lastErrorAt: expect.any(String),
      },
    ])
    const all = (await bench().queue.overview()).map(({ queue }) => queue)
    expect(all).toContain(name)
    expect(all).not.toContain(`${name}_dlq`)
  })

  test('an overview of a deep queue estimates, and says so', async () => {
    const name = await bench().newQueue()
    const table = bench().look.table('q', name)
    await bench().sql`insert into ${table} (vt, message) select now(), '{}' from generate_series(1, 30000)`
    await bench()
      .sql`insert into ${table} (vt, message) select now() + interval '1 hour', '{}' from generate_series(1, 20000)`
    await bench().sql`analyze ${table}`
    const [one] = await bench().queue.overview([name])
    expect(one?.estimated).toEqual(['ready', 'delayed'])
    expect(one?.ready).toBeGreaterThan(25_000)
    expect(one?.ready).toBeLessThan(35_000)
    expect(one?.delayed).toBeGreaterThan(15_000)
    expect(one?.delayed).toBeLessThan(25_000)
    expect(one?.inFlight).toBe(0)
  })

  test('a message is followed through failures, an interruption and its success', async () => {
    const name = await bench().newQueue()
    const [sent] = await bench().queue.send([
      { queue: name, message: { to: 'ann' }, headers: { h: 1 }, idempotencyKey: 'order-17' },
    ])
    const id = sent?.msgId
    expect(await inspect(name, id)).toMatchObject({ state: 'ready', deliveries: [], steps: [], failures: 0 })
    let message = await bench().readOne(name)
    expect(await inspect(name, id)).toMatchObject({ state: 'in_flight' })
    await bench().queue.settle([settling(message, 'retry')], 'worker-1')
    await bench().queue.ledgerStart(message.originKey, 'mail', false, 'run-1')
    await bench().queue.ledgerFinish(message.originKey, 'mail', { id: 7 })
    const retrying = await inspect(name, id)
    expect(retrying).toMatchObject({
      queue: name,
      msgId: id,
      state: 'retrying',
      originKey: message.originKey,
      enqueuedAt: message.enqueuedAt,
      visibleAt: expect.any(String),
      archivedAt: null,
      message: { to: 'ann' },
      headers: { h: 1 },
      sentWithKey: 'order-17',
      failures: 1,
      steps: [{ step: 'mail', state: 'done', result: { id: 7 }, startedBy: 'run-1' }],
    })
    expect(retrying.deliveries).toEqual([
      {
        delivery: 1,
        outcome: 'retry',
        at: expect.any(String),
        error: 'it failed',
        workerId: 'worker-1',
        aloneSince: null,
      },
    ])
    await bench().look.expire(name)
    message = await bench().readOne(name)
    await bench().queue.isolate({ receipt: message, visibilityTimeoutSeconds: 60 }, 'worker-2')
    await bench().look.expire(name)
    message = await bench().readOne(name)
    await bench().queue.settle([settling(message, 'archive')], 'worker-1')
    const done = await inspect(name, id)
    expect(done).toMatchObject({ state: 'archived', archivedAt: expect.any(String), visibleAt: null })
    expect(ends(done)).toEqual(['retry', 'interrupted', 'archive'])
    expect(done.deliveries[1]).toMatchObject({ workerId: 'worker-2', aloneSince: expect.any(String) })
  })

  test('a dead letter is found by the id it died with and by its own, and so is what it was redriven as', async () => {
    const name = await bench().newQueue(3)
    const [, message] = await bench().read(name)
    if (!message) throw new Error('it was not read')
    await bench().queue.settle([settling(message, 'dead')], 'worker-1')
    const [letter] = await bench().queue.deadLetters(name, {})
    const dead = await inspect(name, message.msgId)
    expect(dead).toMatchObject({
      state: 'dead',
      message: message.payload,
      deadMsgId: letter?.msgId,
      deadLetter: { reason: 'unrecoverable', error: 'it can never work', worker_id: 'worker-1' },
    })
    expect(ends(dead)).toEqual(['dead'])
    expect(await inspect(`${name}_dlq`, letter?.msgId)).toEqual(dead)
    const [redriven] = await bench().queue.redrive(name, {})
    expect(await inspect(name, message.msgId)).toMatchObject({
      state: 'redriven',
      redrivenAs: redriven?.msgId,
      deadLetter: null,
    })
    expect(await inspect(name, redriven?.msgId)).toMatchObject({
      state: 'ready',
      originKey: message.originKey,
    })
  })

  test('what was deleted is gone, what never was is unknown, and a queue that is none is named', async () => {
    const name = await bench().newQueue(2)
    const [first, second] = await bench().read(name)
    if (!first || !second) throw new Error('they were not read')
    await bench().queue.settle([settling(first, 'release')], 'worker-1')
    const again = await bench().readOne(name)
    await bench().queue.settle([settling(again, 'delete'), settling(second, 'delete')], 'worker-1')
    const gone = await inspect(name, first.msgId)
    expect([gone.state, ends(gone)]).toEqual(['gone', ['release']])
    expect(await bench().queue.inspect(name, '999')).toEqual({ queue: name, msgId: '999', state: 'unknown' })
    for (const queue of ['no_such_queue', 'no_such_queue_dlq']) {
      await expect(bench().queue.inspect(queue, '1')).rejects.toMatchObject({ kind: 'missing_queue' })
    }
  })

  test('a message that somebody else put into a dead-letter queue is told as what it is', async () => {
    const name = await bench().newQueue()
    const [row] = await bench()
      .sql`select * from pgmq.send(${`${name}_dlq`}::text, '{"dead_letter": 1}'::jsonb) as id`
    expect(await inspect(`${name}_dlq`, row?.id)).toMatchObject({ queue: `${name}_dlq`, state: 'ready' })
  })
}
