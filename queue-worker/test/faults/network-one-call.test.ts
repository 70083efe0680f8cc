/** One connection that hangs, breaks in an answer or delivers late, while all others work. */
import { describe, expect, test } from 'vitest'
import type { ProcessorContext } from '../../src/library.ts'
import { engineBench } from '../support/engine-bench.ts'
import { until } from '../support/worker.ts'
import {
  aimed,
  connectionEvents,
  count,
  faultyNetwork,
  LEASE_SECONDS,
  oneBadCall,
  REQUEST_TIMEOUT_MS,
  startWorker,
  toldEachOutage,
  whereabouts,
} from './network-bench.ts'

describe.concurrent.each(['rpc', 'postgres'] as const)('over %s', (kind) => {
  const bench = engineBench(kind)
  const where = (queue: string) => whereabouts(bench.look, queue)
  const archived = (queue: string, n: number) => async () => (await bench.archived(queue)) === n

  test('a read that hangs and then delivers late costs its messages one interruption, nothing else', async ({
    onTestFinished,
  }) => {
    const queue = await bench.newQueue()
    const { transport, network, strike } = await oneBadCall(kind, queue, onTestFinished)
    const runs: number[] = []
    const worker = await startWorker(kind, onTestFinished, queue, (n) => runs.push(n), {
      connection: transport,
    })
    const struck = await strike('read', 'held')
    const began = performance.now()
    await bench.send(queue, [{ n: 1 }])
    await until('it is not ready', () => !worker.health().ready)
    await until('its lease would be over', () => performance.now() - began > 1000 * LEASE_SECONDS)
    expect(struck.isAnswered()).toBe(false)
    network.set('pass')
    // Read at last, but by this worker's clock the lease is over already: it waits for its visibility timeout.
    await until('it is archived', archived(queue, 1))
    await until('it is ready', () => worker.health().downMs === 0)
    expect(await where(queue)).toEqual(['archived 1, read 2'])
    expect(runs).toEqual([1])
    expect(count(worker, 'returned')).toBe(1)
    expect(toldEachOutage(worker, 'timeout')).toBe(true)
  })

  test('a settle that hangs is repeated at its limit; meanwhile heartbeats keep the message hidden', async ({
    onTestFinished,
  }) => {
    const queue = await bench.newQueue()
    const { transport, strike } = await oneBadCall(kind, queue, onTestFinished)
    const runs: number[] = []
    const worker = await startWorker(kind, onTestFinished, queue, (n) => runs.push(n), {
      connection: transport,
    })
    const striking = strike('settle', 'silent')
    await bench.send(queue, [{ n: 1 }])
    const struck = await striking
    // Another that would run it if it could.
    await startWorker(kind, onTestFinished, queue, (n) => runs.push(n))
    await until('it is not ready', () => !worker.health().ready)
    expect(struck.isAnswered()).toBe(false)
    await until('it is archived', archived(queue, 1))
    await until('it is ready', () => worker.health().downMs === 0)
    expect(await where(queue)).toEqual(['archived 1, read 1'])
    expect(runs).toEqual([1])
    expect(toldEachOutage(worker, 'timeout')).toBe(true)
  })

  test('a settle that arrives when another worker has had the message changes nothing', async ({
    onTestFinished,
  }) => {
    const queue = await bench.newQueue()
    const network = await faultyNetwork(kind, onTestFinished)
    const { transport, strike } = aimed(network.connect())
    const runs: string[] = []
    const worker = await startWorker(kind, onTestFinished, queue, () => runs.push('first'), {
      connection: transport,
    })
    const striking = strike('settle', (...given) => {
      network.set('held')
      return transport.call(...given)
    })
    await bench.send(queue, [{ n: 1 }])
    await striking
    await startWorker(kind, onTestFinished, queue, () => runs.push('second'))
    await until('the other has done it', archived(queue, 1))
    network.set('pass')
    await until('the late settle is answered', () => count(worker, 'settled') === 1)
    expect(worker.events.find((event) => event.name === 'settled')).toMatchObject({ status: 'lost' })
    expect(await where(queue)).toEqual(['archived 1, read 2'])
    expect(runs).toEqual(['first', 'second'])
    await until('it is ready', () => worker.health().ready)
  })

  test('a heartbeat that hangs is followed by another beside it: no lease is lost', async ({
    onTestFinished,
  }) => {
    const queue = await bench.newQueue()
    const { transport, strike } = await oneBadCall(kind, queue, onTestFinished)
    const release = Promise.withResolvers<void>()
    let runs = 0
    const worker = await startWorker(
      kind,
      onTestFinished,
      queue,
      () => {
        runs += 1
        return release.promise
      },
      { connection: transport, settings: { toleratedOutageMs: 5000 } },
    )
    const striking = strike('extend', 'silent')
    await bench.send(queue, [{ n: 1 }])
    const struck = await striking
    const began = performance.now()
    await until(
      'more than a visibility timeout has passed',
      () => performance.now() - began > 1500 * LEASE_SECONDS,
    )
    expect(struck.isAnswered()).toBe(false)
    expect(worker.health().ready).toBe(true)
    release.resolve()
    await until('it is archived', archived(queue, 1))
    expect(await where(queue)).toEqual(['archived 1, read 1'])
    expect([runs, count(worker, 'leaseLost')]).toEqual([1, 0])
  })

  test.for(['ledger_start', 'ledger_finish'])(
    'a %s that hangs is repeated at its limit, and the effect happens once',
    async (call, { onTestFinished }) => {
      const queue = await bench.newQueue()
      const { transport, strike } = await oneBadCall(kind, queue, onTestFinished)
      const done: string[] = []
      const process = async (_: number, { once }: ProcessorContext) => {
        done.push('run')
        await once('effect', () => void done.push('effect'))
      }
      const worker = await startWorker(kind, onTestFinished, queue, process, {
        connection: transport,
        settings: { toleratedOutageMs: REQUEST_TIMEOUT_MS - 2000 },
      })
      const striking = strike(call, 'silent')
      await bench.send(queue, [{ n: 1 }])
      const struck = await striking
      expect(struck.isAnswered()).toBe(false)
      await until('it is archived', archived(queue, 1))
      expect(await where(queue)).toEqual(['archived 1, read 1'])
      expect(done).toEqual(['run', 'effect'])
      // Everything else was answered all the time.
      expect(worker.health().ready).toBe(true)
      expect(connectionEvents(worker)).toEqual([])
    },
  )
})
