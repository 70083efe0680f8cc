/** Every answer lost once: the server did it, the caller does not know and asks again. */
import { expect, test } from 'vitest'
import { ConnectionFailure } from '../../../src/errors.ts'
import type { Queue } from '../../../src/queue/contract.ts'
import { createQueue } from '../../../src/queue/queue.ts'
import type { Suite } from '../../support/bench.ts'
import { outcomeKinds, settling } from '../../support/bench.ts'
import { uniqueQueue } from '../../support/queues.ts'
import { losingAnswers } from '../../support/transports.ts'

export const lostAnswerSuite: Suite = (bench) => {
  /** Calls, loses the answer, calls the same again. */
  const twice = async <T>(call: (queue: Queue) => Promise<T>): Promise<T> => {
    const transport = losingAnswers(bench().transport)
    const queue = createQueue(transport)
    await expect(call(queue)).rejects.toBeInstanceOf(ConnectionFailure)
    const answer = await call(queue)
    expect(transport.lost).toHaveLength(1)
    return answer
  }

  test('a read whose answer is lost costs its messages one visibility timeout and one interruption', async () => {
    const name = await bench().newQueue(3)
    const demand = { queue: name, limit: 10, visibilityTimeoutSeconds: 60 }
    expect((await twice((queue) => queue.read([demand], 1e6))).messages).toEqual([])
    await bench().look.expire(name)
    const messages = await bench().read(name)
    expect(
      messages.map(({ delivery, failures, interruptions }) => [delivery, failures, interruptions]),
    ).toEqual(Array(3).fill([2, 0, 1]))
  })

  for (const kind of outcomeKinds) {
    test(`${kind} asked for again answers that it is done, and is done once`, async () => {
      const name = await bench().newQueue(1)
      const message = await bench().readOne(name)
      const [result] = await twice((queue) => queue.settle([settling(message, kind)], 'worker-1'))
      expect(result).toEqual({ status: kind === 'delete' ? 'gone' : 'already' })
      const { look, sql } = bench()
      const left = await look.messages(name)
      const count = [left.length, (await look.archived(name)).length, (await look.deadLetters(name)).length]
      expect(count).toEqual(
        kind === 'archive'
          ? [0, 1, 0]
          : kind === 'delete'
            ? [0, 0, 0]
            : kind === 'dead'
              ? [0, 0, 1]
              : [1, 0, 0],
      )
      expect(await look.outcomes(name)).toHaveLength(kind === 'archive' || kind === 'delete' ? 0 : 1)
      const [stats] = await sql`
        select sum(archived + deleted + retried + dead + released + snoozed)::int as all from queue_worker.stats where queue = ${name}`
      expect(stats).toEqual({ all: 1 })
    })
  }

  test('an exchange asked for again has settled once and reads what the first did not take', async () => {
    const [name, to] = [await bench().newQueue(1), await bench().newQueue()]
    const message = await bench().readOne(name)
    const carrying = settling(message, { kind: 'archive', sends: [{ queue: to, message: 'sent' }] })
    const demand = { queue: to, limit: 1, visibilityTimeoutSeconds: 60 }
    const { settled, read } = await twice((queue) => queue.exchange([carrying], 'worker-1', [demand], 1e6))
    expect(settled).toEqual([{ status: 'already' }])
    expect(read.messages).toEqual([])
    expect(await bench().look.messages(to)).toHaveLength(1)
    expect(await bench().look.archived(name)).toHaveLength(1)
  })

  test('heartbeats and isolations may be repeated', async () => {
    const name = await bench().newQueue(1)
    const lease = { receipt: await bench().readOne(name), visibilityTimeoutSeconds: 90 }
    expect(await twice((queue) => queue.extend([lease]))).toEqual([true])
    expect(await twice((queue) => queue.isolate(lease, 'worker-1'))).toBe(true)
    expect(await bench().sql`select from queue_worker.isolations where queue = ${name}`).toHaveLength(1)
  })

  test('a send with an idempotency key sends once; one without may send twice', async () => {
    const name = await bench().newQueue()
    const [result] = await twice((queue) => queue.send([{ queue: name, message: 1, idempotencyKey: 'k' }]))
    expect(result).toMatchObject({ duplicate: true })
    expect((await bench().look.messages(name)).map(({ msg_id }) => msg_id)).toEqual([result?.msgId])
    await twice((queue) => queue.send([{ queue: name, message: 2 }]))
    expect(await bench().look.messages(name)).toHaveLength(3)
  })

  test('a redrive and a discard asked for again find nothing left to do', async () => {
    const name = await bench().newQueue(2)
    const messages = await bench().read(name)
    await bench().queue.settle(
      messages.map((message) => settling(message, 'dead')),
      'worker-1',
    )
    const [first, second] = await bench().queue.deadLetters(name, {})
    expect(await twice((queue) => queue.redrive(name, { msgIds: [first?.msgId ?? ''] }))).toEqual([])
    expect(await bench().look.messages(name)).toHaveLength(1)
    expect(
      await twice((queue) => queue.discardDeadLetters(name, { msgIds: [second?.msgId ?? ''] })),
    ).toMatchObject({ discarded: 0 })
    expect(await bench().look.deadLetters(name)).toEqual([])
  })

  test('a step whose start was asked for again is not mistaken for a second run', async () => {
    const key = uniqueQueue('key')
    expect(await twice((queue) => queue.ledgerStart(key, 'charge', false, 'run-1'))).toEqual({ state: 'new' })
    await twice((queue) => queue.ledgerFinish(key, 'charge', { paid: 100 }))
    expect(await bench().queue.ledgerStart(key, 'charge', false, 'run-2')).toEqual({
      state: 'done',
      result: { paid: 100 },
    })
    await bench().queue.ledgerStart(key, 'mail', false, 'run-1')
    await twice((queue) => queue.ledgerForget(key, 'mail', 'run-1'))
    expect(await bench().queue.ledgerStart(key, 'mail', false, 'run-2')).toEqual({ state: 'new' })
  })

  test('making a queue, pausing it and telling the registry may be repeated', async () => {
    const name = await bench().newQueue()
    await twice((queue) => queue.ensureQueue(name, { notify: true }))
    await twice((queue) => queue.setPaused(name, true))
    expect((await bench().queue.counts([name]))[0]).toMatchObject({ paused: true })
    const beat = {
      workerId: name,
      instance: 'i',
      version: '1',
      host: 'h',
      pid: 1,
      queues: [name],
      inFlight: 0,
    }
    expect(await twice((queue) => queue.beat(beat))).toEqual({ drain: false })
    await bench().sql`delete from queue_worker.workers where worker_id = ${name}`
  })
}
