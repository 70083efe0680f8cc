/** A connection that hangs within `context.transaction`, while all others work. */
import { describe, expect, inject, test } from 'vitest'
import type { Transport } from '../../src/library.ts'
import { engineBench } from '../support/engine-bench.ts'
import { openTransport } from '../support/transports.ts'
import { until } from '../support/worker.ts'
import { type Finished, faultyNetwork, startWorker, whereabouts } from './network-bench.ts'

describe.concurrent('over a direct connection', () => {
  const bench = engineBench('postgres')
  const where = (queue: string) => whereabouts(bench.look, queue)
  const archived = (queue: string, n: number) => async () => (await bench.archived(queue)) === n

  /** Transactions go over a connection of their own that can be made to hang. */
  async function withTransactions(finished: Finished) {
    const network = await faultyNetwork('postgres', finished)
    const bad = network.connect()
    finished(() => bad.close())
    const healthy = openTransport('postgres', inject('stack'))
    const table = `queue_worker_test_${Math.random().toString(36).slice(2)}`
    await bench.sql.unsafe(`create table ${table} (n int primary key)`)
    finished(async () => {
      await bench.sql.unsafe(`drop table ${table}`)
    })
    const effects = async () => (await bench.sql.unsafe(`select n from ${table}`)).length
    return { network, transport: { ...healthy, transaction: bad.transaction } as Transport, table, effects }
  }

  test('a transaction that hangs in its writes ends with the time limit, a failure, and is rolled back', async ({
    onTestFinished,
  }) => {
    const queue = await bench.newQueue()
    const { network, transport, table, effects } = await withTransactions(onTestFinished)
    const attempts: number[] = []
    const worker = await startWorker(
      'postgres',
      onTestFinished,
      queue,
      async (n, { attempt, transaction }) => {
        attempts.push(attempt)
        await transaction(async (sql) => {
          await sql.unsafe(`insert into ${table} values (${n})`)
          if (attempt > 1) return
          network.set('silent')
          setTimeout(() => network.set('pass'), 500)
          await sql.unsafe('select 1')
        })
      },
      { connection: transport, timeoutMs: 1500, usesTransaction: true },
    )
    await bench.send(queue, [{ n: 1 }])
    await until('it is archived', archived(queue, 1))
    expect(await where(queue)).toEqual(['archived 1, read 2'])
    expect((await bench.look.outcomes(queue)).map(({ outcome }) => outcome)).toEqual(['retry'])
    expect(attempts).toEqual([1, 2])
    expect(await effects()).toBe(1)
    expect(worker.health().ready).toBe(true)
  })

  test('a commit that is lost on the way holds up neither its message nor the others for long', async ({
    onTestFinished,
  }) => {
    const queue = await bench.newQueue()
    const { network, transport, table, effects } = await withTransactions(onTestFinished)
    const attempts: number[] = []
    const lost = Promise.withResolvers<void>()
    const { transaction } = transport
    const losing: Transport = {
      ...transport,
      transaction: (run) => {
        if (transaction === undefined) throw new Error('it has transactions')
        return transaction((sql, call) =>
          run(sql, async (entryPoint, request) => {
            const answer = await call(entryPoint, request)
            if (attempts.length > 1) return answer
            network.set('silent')
            setTimeout(() => network.set('pass'), 500)
            lost.resolve()
            return answer
          }),
        )
      },
    }
    const worker = await startWorker(
      'postgres',
      onTestFinished,
      queue,
      async (n, { attempt, transaction }) => {
        if (n === 2) return
        attempts.push(attempt)
        await transaction(async (sql) => {
          await sql.unsafe(`insert into ${table} values (${n})`)
        })
      },
      { connection: losing, timeoutMs: 4000, usesTransaction: true, queue: { concurrency: 3 } },
    )
    await bench.send(queue, [{ n: 1 }])
    await lost.promise
    // Another, which comes while the first hangs.
    await bench.send(queue, [{ n: 2 }])
    await until('both are archived', archived(queue, 2))
    expect(await where(queue)).toEqual(['archived 1, read 2', 'archived 2, read 1'])
    const [first, second] =
      await bench.sql`select archived_at from pgmq.${bench.sql(`a_${queue}`)} order by msg_id`
    expect(second?.archived_at.getTime(), 'the other went first').toBeLessThan(first?.archived_at.getTime())
    expect(attempts).toEqual([1, 2])
    expect(await effects()).toBe(1)
    await until('it is ready', () => worker.health().ready && worker.health().downMs === 0)
  })
})
