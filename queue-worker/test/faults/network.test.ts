/** A worker on a bad network: what it says, what becomes of its messages, and that it works again by itself. */
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { LeaseLostError } from '../../src/errors.ts'
import { engineBench } from '../support/engine-bench.ts'
import { until } from '../support/worker.ts'
import {
  aimed,
  connectionEvents,
  count,
  faultyNetwork,
  startWorker,
  toldEachOutage,
  UNMOVED_MS,
  whereabouts,
} from './network-bench.ts'

describe.concurrent.each(['rpc', 'postgres'] as const)('over %s', (kind) => {
  const bench = engineBench(kind)

  const where = (queue: string) => whereabouts(bench.look, queue)
  const archived = (queue: string, n: number) => async () => (await bench.archived(queue)) === n

  test('on a slow network everything is done once and nothing is alarmed', async ({ onTestFinished }) => {
    const queue = await bench.newQueue()
    const network = await faultyNetwork(kind, onTestFinished, { slowMs: 100 })
    const runs: number[] = []
    const worker = await startWorker(kind, onTestFinished, queue, (n) => runs.push(n), {
      connection: network.connect(),
      settings: { toleratedOutageMs: UNMOVED_MS },
    })
    network.set('slow')
    await bench.send(
      queue,
      Array.from({ length: 20 }, (_, n) => ({ n })),
    )
    await until('all are archived', archived(queue, 20))
    expect(runs.sort((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, n) => n))
    expect((await where(queue)).toSorted()).toEqual(
      Array.from({ length: 20 }, (_, n) => `archived ${n}, read 1`).toSorted(),
    )
    expect(count(worker, 'leaseLost')).toBe(0)
    expect(connectionEvents(worker)).toEqual([])
    expect(worker.health().ready).toBe(true)
  })

  test('with its usual patience, a worker is not ready long before a call that hangs has reached its time limit', async ({
    onTestFinished,
  }) => {
    const queue = await bench.newQueue()
    const network = await faultyNetwork(kind, onTestFinished)
    const { transport, strike } = aimed(network.connect('127.0.0.1', null))
    const runs: number[] = []
    const worker = await startWorker(kind, onTestFinished, queue, (n) => runs.push(n), {
      connection: transport,
      settings: { toleratedOutageMs: undefined },
    })
    const struck = await strike('read', (...given) => {
      network.set('held')
      return transport.call(...given)
    })
    await until('it is not ready', () => !worker.health().ready)
    expect(struck.isAnswered()).toBe(false)
    expect(worker.health().reason).toMatch(
      /has not answered for \d+ s: no answer to a call \((read|beat)\) for \d+ s/,
    )
    expect(connectionEvents(worker)).toEqual(['lost: timeout'])
    network.set('pass')
    await until('it is ready', () => worker.health().ready)
    await bench.send(queue, [{ n: 1 }])
    await until('it is archived', archived(queue, 1))
    await until('the end of the outage is told', () => toldEachOutage(worker, 'timeout'))
    expect(runs).toEqual([1])
  })

  test('a network that goes silent in a read loses nothing, and readiness and log tell of it', async ({
    onTestFinished,
  }) => {
    const queue = await bench.newQueue()
    const network = await faultyNetwork(kind, onTestFinished)
    const { transport, strike } = aimed(network.connect())
    const runs: number[] = []
    const worker = await startWorker(kind, onTestFinished, queue, (n) => runs.push(n), {
      connection: transport,
    })
    const struck = await strike('read', (...given) => {
      network.set('silent')
      return transport.call(...given)
    })
    await bench.send(queue, [{ n: 1 }])
    await until('it is not ready', () => !worker.health().ready)
    expect(struck.isAnswered()).toBe(false)
    network.set('pass')
    await until('it is archived', archived(queue, 1))
    await until('it is ready', () => worker.health().downMs === 0)
    expect(await where(queue)).toEqual(['archived 1, read 1'])
    expect(runs).toEqual([1])
    expect(toldEachOutage(worker, 'timeout'), String(connectionEvents(worker))).toBe(true)
  })

  test('one that goes silent in a settle keeps the outcome, and the message does not run again here', async ({
    onTestFinished,
  }) => {
    const queue = await bench.newQueue()
    const network = await faultyNetwork(kind, onTestFinished)
    const { transport, strike } = aimed(network.connect())
    const runs: number[] = []
    const worker = await startWorker(kind, onTestFinished, queue, (n) => runs.push(n), {
      connection: transport,
    })
    const striking = strike('settle', (...given) => {
      network.set('silent')
      return transport.call(...given)
    })
    await bench.send(queue, [{ n: 1 }])
    const struck = await striking
    await until('it is not ready', () => !worker.health().ready)
    expect(struck.isAnswered()).toBe(false)
    expect(worker.health().unsettled).toBe(1)
    await until('others could have it', async () => {
      const [row, ...others] = await bench.look.messages(queue)
      return others.length === 0 && row !== undefined && row.vt.getTime() < Date.now()
    })
    network.set('pass')
    await until('it is archived', archived(queue, 1))
    await until('it is ready', () => worker.health().downMs === 0 && worker.health().ready)
    expect(await where(queue)).toEqual(['archived 1, read 1'])
    expect(runs).toEqual([1])
    expect(toldEachOutage(worker, 'timeout'), String(connectionEvents(worker))).toBe(true)
  })

  test('one that goes silent in a heartbeat costs what runs its lease: aborted, unrecorded, run again', async ({
    onTestFinished,
  }) => {
    const queue = await bench.newQueue()
    const network = await faultyNetwork(kind, onTestFinished)
    const { transport, strike } = aimed(network.connect())
    const reasons: unknown[] = []
    let runs = 0
    const worker = await startWorker(
      kind,
      onTestFinished,
      queue,
      async (_, { signal }) => {
        runs += 1
        if (runs > 1) return
        await sleep(60_000, undefined, { signal }).catch(() => {})
        reasons.push(signal.reason)
        signal.throwIfAborted()
      },
      { connection: transport },
    )
    const striking = strike('extend', (...given) => {
      network.set('silent')
      return transport.call(...given)
    })
    await bench.send(queue, [{ n: 1 }])
    await striking
    await until('it is not ready', () => !worker.health().ready)
    await until('it is aborted', () => reasons.length === 1)
    expect(reasons[0]).toBeInstanceOf(LeaseLostError)
    network.set('pass')
    await until('it is archived', archived(queue, 1))
    await until('it is ready', () => worker.health().downMs === 0 && worker.health().ready)
    expect(await where(queue)).toEqual(['archived 1, read 2'])
    expect(await bench.look.outcomes(queue)).toEqual([])
    expect([runs, count(worker, 'leaseLost')]).toEqual([2, 1])
    expect(toldEachOutage(worker, 'timeout'), String(connectionEvents(worker))).toBe(true)
  })

  test('one that stays silent ends the worker when it is to give up', async ({ onTestFinished }) => {
    const queue = await bench.newQueue()
    const network = await faultyNetwork(kind, onTestFinished)
    const { transport, strike } = aimed(network.connect())
    const worker = await startWorker(kind, onTestFinished, queue, () => {}, {
      connection: transport,
      settings: { giveUpSeconds: 5 },
    })
    const struck = await strike('read', (...given) => {
      network.set('silent')
      return transport.call(...given)
    })
    await expect(worker.done).rejects.toMatchObject({ name: 'ConnectionFailure', kind: 'timeout' })
    expect(struck.isAnswered()).toBe(false)
    await until('it has stopped', () => worker.health().state === 'stopped')
  })
})
