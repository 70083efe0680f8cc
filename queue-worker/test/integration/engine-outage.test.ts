/** The engine while the database is away, and when it is back. */
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { LeaseLostError } from '../../src/errors.ts'
import { ConnectionFailure, defineProcessor, type Transport } from '../../src/library.ts'
import { engineBench, payload } from '../support/engine-bench.ts'
import { type TestWorker, until } from '../support/worker.ts'

const named = (worker: TestWorker, name: string) => worker.events.filter((event) => event.name === name)

describe.each(['rpc', 'postgres'] as const)('the engine over %s in an outage', (kind) => {
  const bench = engineBench(kind)

  test('keeps outcomes until they are recorded, also past their leases, and runs nothing twice', async () => {
    const queue = await bench.newQueue()
    const { connection, down, up } = await bench.cuttable()
    const counted = bench.counted(connection)
    const gate = Promise.withResolvers<void>()
    let runs = 0
    const processor = defineProcessor({
      queue,
      payload,
      visibilityTimeoutSeconds: 2,
      async process() {
        runs += 1
        await gate.promise
      },
    })
    const worker = await bench.start([processor], { connection: counted.connection })
    await bench.send(queue, [{ n: 1 }, { n: 2 }])
    await until('both run', () => runs === 2)
    down()
    gate.resolve()
    await until('their outcomes wait', () => worker.health().unsettled === 2)
    await until('others could have them', async () =>
      (await bench.look.messages(queue)).every((row) => row.vt.getTime() < Date.now() - 500),
    )
    up()
    await until('both are archived', async () => (await bench.archived(queue)) === 2)
    await until(
      'it is over',
      () => named(worker, 'connectionBack').length > 0 && worker.health().downMs === 0,
    )
    expect(runs).toBe(2)
    for (const row of await bench.look.archived(queue)) expect(row.read_ct).toBe(1)
  })

  test('reads nothing that it has done itself, when outcomes cannot be recorded but reads are answered', async () => {
    const queue = await bench.newQueue()
    const { connection } = bench.counted()
    let recordable = true
    const half: Transport = {
      ...connection,
      async call(entryPoint, request) {
        const settles = (request as { settlements?: unknown[] }).settlements ?? []
        if (!recordable && (settles.length > 0 || entryPoint === 'extend')) {
          throw new ConnectionFailure('timeout', 'no answer', 'None: a test did it.', true)
        }
        return connection.call(entryPoint, request)
      },
    }
    const gate = Promise.withResolvers<void>()
    let runs = 0
    const processor = defineProcessor({
      queue,
      payload,
      visibilityTimeoutSeconds: 2,
      async process() {
        runs += 1
        await gate.promise
      },
    })
    const settings = { pollIntervalMs: 100, notify: false }
    const worker = await bench.start([processor], { connection: half, settings })
    await bench.send(queue, [{ n: 1 }])
    await until('it runs', () => runs === 1)
    recordable = false
    gate.resolve()
    await until('its outcome waits', () => worker.health().unsettled === 1)
    await until('it could be read', async () =>
      (await bench.look.messages(queue)).every((row) => row.vt.getTime() < Date.now() - 1500),
    )
    recordable = true
    await until('it is archived', async () => (await bench.archived(queue)) === 1)
    expect(runs).toBe(1)
    expect((await bench.look.archived(queue))[0]?.read_ct).toBe(1)
  })

  test('tells its class once and its end once, is not ready meanwhile, and does not hammer', async () => {
    const queue = await bench.newQueue()
    const { connection, down, up } = await bench.cuttable()
    const counted = bench.counted(connection)
    const seen: number[] = []
    const processor = defineProcessor({ queue, payload, process: ({ n }) => void seen.push(n) })
    const worker = await bench.start([processor], { connection: counted.connection })
    expect(worker.health().ready).toBe(true)
    down()
    const before = counted.calls.length
    await until('it is not ready', () => !worker.health().ready)
    expect(worker.health().reason).toContain('has not answered for')
    // Ten seconds of outage or more; reads back off, the rest has its own slow pace.
    expect(counted.calls.length - before).toBeLessThan(40)
    const kinds = named(worker, 'connectionLost').map(
      (event) => event.name === 'connectionLost' && event.failure.kind,
    )
    expect(kinds.length).toBeGreaterThan(0)
    expect(new Set(kinds).size).toBe(kinds.length)
    expect(named(worker, 'connectionBack')).toEqual([])
    await bench.send(queue, [{ n: 7 }])
    up()
    await until('the message is processed', () => seen.length === 1, 60_000)
    await until('it is ready', () => worker.health().ready, 60_000)
    await until('all agree that it is over', () => worker.health().downMs === 0)
    expect(named(worker, 'connectionBack')).toHaveLength(1)
  })

  test('aborts what runs past its lease, records nothing of it, and runs it again afterwards', async () => {
    const queue = await bench.newQueue()
    const { connection, down, up } = await bench.cuttable()
    const reasons: unknown[] = []
    const attempts: number[] = []
    const processor = defineProcessor({
      queue,
      payload,
      visibilityTimeoutSeconds: 2,
      async process(_, { signal, attempt }) {
        attempts.push(attempt)
        if (attempts.length > 1) return
        await sleep(60_000, undefined, { signal }).catch(() => {})
        reasons.push(signal.reason)
        signal.throwIfAborted()
      },
    })
    const worker = await bench.start([processor], { connection })
    await bench.send(queue, [{ n: 1 }])
    await until('it runs', () => attempts.length === 1)
    down()
    await until('it is aborted', () => reasons.length === 1)
    expect(reasons[0]).toBeInstanceOf(LeaseLostError)
    up()
    await until('it is archived', async () => (await bench.archived(queue)) === 1, 60_000)
    expect(attempts).toEqual([1, 1])
    expect(await bench.look.outcomes(queue)).toEqual([])
    expect(named(worker, 'leaseLost')).toHaveLength(1)
  })

  test('gives up after its time with the failure, and stops', async () => {
    const queue = await bench.newQueue()
    const { connection, down } = await bench.cuttable()
    const processor = defineProcessor({ queue, payload, process: () => {} })
    const worker = await bench.start([processor], { connection, settings: { giveUpSeconds: 1 } })
    down()
    await expect(worker.done).rejects.toBeInstanceOf(ConnectionFailure)
    await until('it has stopped', () => worker.health().state === 'stopped')
  })
})
