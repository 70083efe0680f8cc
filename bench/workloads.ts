/** Every workload by name: a number each time it is run. What is compared with what is in targets.ts. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { createProducer } from '../queue-worker/src/library.ts'
import type { Measured, Orders } from './alone.ts'
import { crowd } from './crowd.ts'
import { drain } from './drain.ts'
import { bareRest, bareSql, drainFloor, latencyFloor } from './floor.ts'
import { latencies } from './latency.ts'
import { peakMb } from './peak.ts'
import type { Kind, Setting } from './setting.ts'

export type Workload = { readonly unit: string; run(): Promise<number>; readonly rounds?: number }
export type Groups = Readonly<Record<string, Readonly<Record<string, Workload>>>>

const INTERVAL_MS = 20
/** docs/performance.md recommends it for small containers. */
const SMALL_HEAP = ['--max-old-space-size=64', '--max-semi-space-size=2']
const BATCHES = { concurrency: 500, batchSize: 500 }

export function createWorkloads(setting: Setting, messages: number): Groups {
  const rate = (run: () => Promise<number>): Workload => ({ unit: 'messages/s', run })
  const ours = (kind: Kind, options: object = {}) =>
    rate(async () =>
      drain({ connection: setting.connect(kind), queue: await setting.fill(messages), messages, ...options }),
    )
  /** Of a million messages a run takes some; filling it takes long. */
  const deep = lazily(() => setting.fill(1_000_000))

  return {
    drain: {
      'floor, batches of 500': rate(() => drainFloor(setting, bareSql(setting), messages, 500)),
      'direct, batches of 500': ours('postgres', BATCHES),
      'floor, batches of 100': rate(() => drainFloor(setting, bareSql(setting), messages, 100)),
      'direct, defaults': ours('postgres'),
      // As many requests at once as our worker has at most: two that read and two that settle.
      'floor over REST, batches of 500': rate(() => drainFloor(setting, bareRest(setting), messages, 500, 4)),
      'RPC, batches of 500': ours('rpc', BATCHES),
      'RPC, defaults': ours('rpc'),
    },
    latency: quantiles({
      floor: () => latencyFloor(setting, 300, INTERVAL_MS),
      direct: () => latencies(setting, 'postgres', 300, INTERVAL_MS),
      RPC: () => latencies(setting, 'rpc', 300, INTERVAL_MS),
    }),
    growth: {
      'direct, 10,000 deep': rate(async () => some('postgres', await setting.fill(10_000))),
      'direct, 1,000,000 deep': rate(async () => some('postgres', await deep())),
      'direct, behind 100,000 delayed': rate(async () => {
        const queue = await setting.fill(100_000, { delaySeconds: 3600 })
        return some('postgres', await setting.fill(10_000, { queue }))
      }),
      'RPC, 10,000 deep': rate(async () => some('rpc', await setting.fill(10_000))),
      'RPC, 1,000,000 deep': rate(async () => some('rpc', await deep())),
    },
    slow: Object.fromEntries(
      (['postgres', 'rpc'] as const).map((kind) => [
        `${kind === 'rpc' ? 'RPC' : 'direct'}, 20 ms, concurrency 100`,
        rate(async () => {
          const queue = await setting.fill(25_000)
          return drain({
            connection: setting.connect(kind),
            queue,
            messages: 25_000,
            concurrency: 100,
            runMs: 20,
          })
        }),
      ]),
    ),
    sizes: Object.fromEntries(
      [300, 3000, 30_000].map((bytes) => [
        `direct, ${bytes} bytes`,
        rate(async () => {
          const queue = await setting.fill(2000, { bytes })
          return drain({ connection: setting.connect('postgres'), queue, messages: 2000, ...BATCHES })
        }),
      ]),
    ),
    producer: {
      'direct, one after the other': rate(() => produce('postgres', 2000, 1)),
      'direct, 1,000 at once': rate(() => produce('postgres', 20_000, 1000)),
      'RPC, one after the other': rate(() => produce('rpc', 1000, 1)),
      'RPC, 1,000 at once': rate(() => produce('rpc', 20_000, 1000)),
    },
    memory: {
      ...memory('direct', 'postgres'),
      ...memory('RPC', 'rpc'),
    },
    scaling: {
      ...scaling('postgres'),
      ...scaling('rpc'),
    },
    idle: {
      ...idle('direct', 'postgres'),
      ...idle('RPC', 'rpc'),
    },
  }

  function some(kind: Kind, queue: string): Promise<number> {
    return drain({ connection: setting.connect(kind), queue, messages: 10_000, ...BATCHES })
  }

  async function produce(kind: Kind, count: number, atOnce: number): Promise<number> {
    const queue = await setting.fill(0)
    const producer = createProducer(setting.connect(kind))
    const startedMs = performance.now()
    const one = async (_: unknown, at: number) => {
      for (let n = at; n < count; n += atOnce) await producer.send(queue, { n, text: 'x'.repeat(270) })
    }
    await Promise.all(Array.from({ length: atOnce }, one))
    const seconds = (performance.now() - startedMs) / 1000
    await producer.close()
    return count / seconds
  }

  /** One queue, several workers with default settings; then a queue for each; then jobs that wait for something else. */
  function scaling(kind: Kind): Record<string, Workload> {
    const name = kind === 'rpc' ? 'RPC' : 'direct'
    const connection = setting.settings(kind)
    const workers = [1, 2, 4].map((count): [string, Workload] => [
      `${name}, ${count} on one queue`,
      rate(async () => {
        const queue = await setting.fill(messages)
        return crowd({ connection, queues: Array(count).fill(queue), messages })
      }),
    ])
    const apart: [string, Workload] = [
      `${name}, 4 on four queues`,
      rate(async () => {
        const queues: string[] = []
        for (let n = 0; n < 4; n += 1) queues.push(await setting.fill(Math.ceil(messages / 4)))
        return crowd({ connection, queues, messages })
      }),
    ]
    const waiting = [1, 2, 4, 8].map((count): [string, Workload] => [
      `${name}, ${count} with jobs of 100 ms, 10 at once each`,
      rate(async () => {
        const queue = await setting.fill(count * 500)
        return crowd({ connection, queues: Array(count).fill(queue), messages: count * 500, runMs: 100 })
      }),
    ])
    return Object.fromEntries([...workers, apart, ...waiting])
  }

  /** As the program runs by itself, and with the heap bounded as in a small container. */
  function memory(name: string, kind: Kind): Record<string, Workload> {
    const connection = setting.settings(kind)
    const environment: Record<string, string> =
      connection.kind === 'rpc'
        ? { QUEUE_TRANSPORT: 'rpc', SUPABASE_URL: connection.url, SUPABASE_SECRET_KEY: connection.key }
        : { QUEUE_TRANSPORT: 'postgres', DATABASE_URL: connection.url }
    const peak = (heap: readonly string[]): Workload => ({
      unit: 'MB',
      rounds: 1,
      run: async () => peakMb(setting, await deep(), environment, heap, 100_000),
    })
    return {
      [`${name}, 1,000,000 deep`]: peak([]),
      [`${name}, 1,000,000 deep, heap bounded`]: peak(SMALL_HEAP),
    }
  }

  /** One minute, three queues, two figures of it. */
  function idle(name: string, kind: Kind): Record<string, Workload> {
    const measured = lazily(async () => {
      const queues = [await setting.fill(0), await setting.fill(0), await setting.fill(0)]
      return alone({ connection: setting.settings(kind), queues, seconds: 60 })
    })
    return {
      [`${name}, three queues: ${kind === 'rpc' ? 'requests' : 'statements'}`]: {
        unit: 'a minute',
        rounds: 1,
        run: async () => (await measured()).calls,
      },
      [`${name}, three queues: processor`]: {
        unit: '% of a core',
        rounds: 1,
        run: async () => (await measured()).cpuPercent,
      },
    }
  }
}

/** Each run gives two figures of one sample. */
function quantiles(samples: Record<string, () => Promise<number[]>>): Record<string, Workload> {
  const at = (sorted: readonly number[], share: number) =>
    sorted[Math.floor((sorted.length - 1) * share)] ?? Number.NaN
  return Object.fromEntries(
    Object.entries(samples).flatMap(([name, take]) => {
      let last: number[] = []
      const median = async () => {
        last = await take()
        return at(last, 0.5)
      }
      return [
        [`${name}, median`, { unit: 'ms', run: median }],
        [`${name}, 99th percentile`, { unit: 'ms', run: async () => at(last, 0.99) }],
      ]
    }),
  )
}

function lazily<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined
  return () => {
    made ??= make()
    return made
  }
}

async function alone(orders: Orders): Promise<Measured> {
  const child = fork(new URL('alone.ts', import.meta.url))
  child.send(orders)
  const [measured] = await once(child, 'message')
  await once(child, 'exit')
  return measured
}
