/** Names that do not resolve, ports that refuse, answers that break off, notifications that get lost. */
import dns from 'node:dns'
import { afterAll, describe, expect, inject, test } from 'vitest'
import { engineBench } from '../support/engine-bench.ts'
import { openTransport } from '../support/transports.ts'
import { until } from '../support/worker.ts'
import {
  connectionEvents,
  count,
  faultyNetwork,
  oneBadCall,
  startWorker,
  toldEachOutage,
  UNMOVED_MS,
  whereabouts,
} from './network-bench.ts'

describe.concurrent.each(['rpc', 'postgres'] as const)('over %s', (kind) => {
  const bench = engineBench(kind)
  const where = (queue: string) => whereabouts(bench.look, queue)
  const archived = (queue: string, n: number) => async () => (await bench.archived(queue)) === n

  test('a port that refuses is told as such; the message waits and runs once', async ({ onTestFinished }) => {
    const queue = await bench.newQueue()
    const network = await faultyNetwork(kind, onTestFinished)
    const runs: number[] = []
    const worker = await startWorker(kind, onTestFinished, queue, (n) => runs.push(n), {
      connection: network.connect(),
    })
    await network.refuse()
    await bench.send(queue, [{ n: 1 }])
    await until('it is not ready', () => !worker.health().ready)
    await until('that is told', () => worker.health().lastError?.kind === 'refused')
    await network.listen()
    await until('it is archived', archived(queue, 1))
    await until('it is ready', () => worker.health().downMs === 0 && worker.health().ready)
    expect(await where(queue)).toEqual(['archived 1, read 1'])
    expect(runs).toEqual([1])
    await until('each outage was told once', () => toldEachOutage(worker))
  })

  test('a name that does not resolve any more is told as such; the message waits and runs once', async ({
    onTestFinished,
  }) => {
    const queue = await bench.newQueue()
    const network = await faultyNetwork(kind, onTestFinished)
    const name = `${kind}.database.example`
    names.set(name, true)
    const runs: number[] = []
    const worker = await startWorker(kind, onTestFinished, queue, (n) => runs.push(n), {
      connection: network.connect(name),
    })
    names.set(name, false)
    await until('it is not ready', () => {
      network.cut() // also what was just being connected
      return !worker.health().ready
    })
    await bench.send(queue, [{ n: 1 }])
    await until('that is told', () => worker.health().lastError?.kind === 'dns')
    names.set(name, true)
    await until('it is archived', archived(queue, 1))
    await until('it is ready', () => worker.health().downMs === 0 && worker.health().ready)
    expect(await where(queue)).toEqual(['archived 1, read 1'])
    expect(runs).toEqual([1])
    await until('each outage was told once', () => toldEachOutage(worker))
  })

  test('an answer that breaks off in a read costs its messages one visibility timeout', async ({
    onTestFinished,
  }) => {
    const queue = await bench.newQueue()
    const { transport, strikeAfter } = await oneBadCall(kind, queue, onTestFinished)
    const runs: number[] = []
    const worker = await startWorker(kind, onTestFinished, queue, (n) => runs.push(n), {
      connection: transport,
      settings: { toleratedOutageMs: UNMOVED_MS },
    })
    await strikeAfter(() => bench.send(queue, [{ n: 1 }]), 'read', 'half-answer')
    await until('it is archived', archived(queue, 1))
    await until('it is ready', () => worker.health().downMs === 0)
    expect(await where(queue)).toEqual(['archived 1, read 2'])
    expect(runs).toEqual([1])
    expect(count(worker, 'returned')).toBe(1)
    expect(connectionEvents(worker)).toEqual(['lost: disconnected', 'back'])
  })

  test('an answer that breaks off in a settle: it was done, and asked again it says so', async ({
    onTestFinished,
  }) => {
    const queue = await bench.newQueue()
    const { transport, strike } = await oneBadCall(kind, queue, onTestFinished)
    const runs: number[] = []
    const worker = await startWorker(kind, onTestFinished, queue, (n) => runs.push(n), {
      connection: transport,
      settings: { toleratedOutageMs: UNMOVED_MS },
    })
    const striking = strike('settle', 'half-answer')
    await bench.send(queue, [{ n: 1 }])
    await striking
    await until('it is settled', () => count(worker, 'settled') === 1)
    await until('it is ready', () => worker.health().downMs === 0)
    expect(worker.events.find((event) => event.name === 'settled')).toMatchObject({ status: 'already' })
    expect(await where(queue)).toEqual(['archived 1, read 1'])
    expect(runs).toEqual([1])
    expect(connectionEvents(worker)).toEqual(['lost: disconnected', 'back'])
  })
})

describe('over a direct connection', () => {
  const bench = engineBench('postgres')
  const where = (queue: string) => whereabouts(bench.look, queue)
  const archived = (queue: string, n: number) => async () => (await bench.archived(queue)) === n

  test('notifications that are lost on the way are made up for by polling', async ({ onTestFinished }) => {
    const queue = await bench.newQueue()
    const network = await faultyNetwork('postgres', onTestFinished)
    const listening = network.connect()
    onTestFinished(() => listening.close())
    const healthy = openTransport('postgres', inject('stack'))
    const transport = listening.listen ? { ...healthy, listen: listening.listen } : healthy
    const runs: number[] = []
    const worker = await startWorker('postgres', onTestFinished, queue, (n) => runs.push(n), {
      connection: transport,
      settings: { toleratedOutageMs: UNMOVED_MS },
    })
    expect(worker.health().wake).toBe('notify')
    network.set('silent')
    await bench.send(queue, [{ n: 1 }])
    await until('it is archived', archived(queue, 1))
    expect(await where(queue)).toEqual(['archived 1, read 1'])
    expect(runs).toEqual([1])
    expect(worker.health()).toMatchObject({ ready: true, wake: 'notify' })
    expect(connectionEvents(worker)).toEqual([])
  })
})

const realLookup = dns.lookup
/** Names that only exist here, and whether they do. */
const names = new Map<string, boolean>()
// Node asks this function for each connection to a name.
Reflect.set(dns, 'lookup', (host: string, ...rest: unknown[]) => {
  const exists = names.get(host)
  if (exists !== false) return Reflect.apply(realLookup, dns, [exists ? '127.0.0.1' : host, ...rest])
  const done = rest.at(-1)
  const error = Object.assign(new Error(`getaddrinfo ENOTFOUND ${host}`), { code: 'ENOTFOUND' })
  if (typeof done === 'function') process.nextTick(done, error)
})
afterAll(() => void Reflect.set(dns, 'lookup', realLookup))
