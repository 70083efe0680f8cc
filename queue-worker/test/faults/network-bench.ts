/** Connections through the fault proxy, and faults that strike exactly one call of a worker. */
import { inject, type onTestFinished } from 'vitest'
import type { ConnectionFailure, FailureKind } from '../../src/errors.ts'
import {
  connectPostgres,
  connectSupabase,
  defineProcessor,
  type ProcessorContext,
  type Transport,
} from '../../src/library.ts'
import { createQueue } from '../../src/queue/queue.ts'
import { payload } from '../support/engine-bench.ts'
import { lastingPort } from '../support/ports.ts'
import { type ProxyMode, type ProxyOptions, startProxy } from '../support/proxy.ts'
import type { Inspector } from '../support/queues.ts'
import { openTransport } from '../support/transports.ts'
import { type TestWorker, type TestWorkerOptions, testWorker } from '../support/worker.ts'

type Kind = Transport['kind']
export type Finished = typeof onTestFinished

/** The client's patience and the worker's, short enough for a test and longer than a busy machine's pauses. */
export const REQUEST_TIMEOUT_MS = 12_000
export const LEASE_SECONDS = 6
export const TOLERATED_OUTAGE_MS = 3000
/** For one that is to see nothing of a fault. */
export const UNMOVED_MS = 20_000

/** A proxy before the stack's server for this transport, and a way to connect through it. */
export async function faultyNetwork(kind: Kind, finished: Finished, options: Partial<ProxyOptions> = {}) {
  const stack = inject('stack')
  const url = new URL(kind === 'rpc' ? stack.url : stack.databaseUrl)
  const start = (port: number) => startProxy({ targetPort: Number(url.port), port, ...options })
  const port = await lastingPort()
  let proxy = await start(port)
  finished(() => proxy.stop())
  return {
    /** `host` is the name to connect by; `requestTimeoutMs` null leaves the default. */
    connect(host = '127.0.0.1', requestTimeoutMs: number | null = REQUEST_TIMEOUT_MS): Transport {
      const limit =
        requestTimeoutMs === null ? {} : { requestTimeoutMs, connectTimeoutMs: requestTimeoutMs - 2000 }
      const through = new URL(url)
      through.hostname = host
      through.port = String(port)
      // No TLS for a name either: the server here has none.
      if (kind === 'postgres') through.searchParams.set('sslmode', 'disable')
      return kind === 'rpc'
        ? connectSupabase({ url: through.origin, key: stack.secretKey, ...limit })
        : connectPostgres({ url: through.href, ...limit })
    },
    set: (mode: Parameters<typeof proxy.set>[0]) => proxy.set(mode),
    /** Nobody listens there until `listen`. */
    refuse: () => proxy.stop(),
    async listen() {
      proxy = await start(port)
    },
    cut: () => proxy.cut(),
  }
}

export type Aimed = {
  readonly transport: Transport
  /** The next such call is made this way. Resolves when that is so. */
  strike(call: string, way: Transport['call']): Promise<{ isAnswered(): boolean }>
}

/** A transport one call of which can be made in another way; `settle` also strikes one that rides on a read. */
export function aimed(base: Transport): Aimed {
  let armed: { call: string; way: Transport['call']; hit(isAnswered: () => boolean): void } | undefined
  return {
    transport: {
      ...base,
      call(entryPoint, request) {
        if (armed === undefined || !names(entryPoint, request).includes(armed.call)) {
          return base.call(entryPoint, request)
        }
        const { way, hit } = armed
        armed = undefined
        let answered = false
        hit(() => answered)
        return way(entryPoint, request).finally(() => {
          answered = true
        })
      },
    },
    strike: (call, way) =>
      new Promise((resolve) => {
        armed = { call, way, hit: (isAnswered) => resolve({ isAnswered }) }
      }),
  }
}

function names(entryPoint: string, request: unknown): string[] {
  const { settlements = [] } = request as { settlements?: unknown[] }
  return entryPoint === 'exchange' ? ['read', ...(settlements.length > 0 ? ['settle'] : [])] : [entryPoint]
}

/** A healthy transport, one call of which goes over a connection of its own with this fault. */
export async function oneBadCall(kind: Kind, queue: string, finished: Finished) {
  const network = await faultyNetwork(kind, finished)
  const bad = network.connect()
  finished(() => bad.close())
  // So that before the fault the connection is there and knows these calls: then an answer is one chunk.
  const receipt = { queue, msgId: '999999', delivery: 1, enqueuedAt: '2026-01-01T00:00:00Z' }
  await createQueue(bad).settle([{ receipt, outcome: { kind: 'archive' }, ranMs: 1, waitedMs: 1 }], 'test')
  await createQueue(bad).read([{ queue, limit: 1, visibilityTimeoutSeconds: 3 }], 1000)
  const { transport, strike } = aimed(openTransport(kind, inject('stack')))
  return {
    transport,
    network,
    strike: (call: string, mode: ProxyMode) =>
      strike(call, (...given) => {
        network.set(mode)
        return bad.call(...given)
      }),
    /** The same, after this. */
    strikeAfter: (first: () => Promise<unknown>, call: string, mode: ProxyMode) =>
      strike(call, async (...given) => {
        await first()
        network.set(mode)
        return bad.call(...given)
      }),
  }
}

/** A worker that hardly tolerates an outage, stopped when the test is over. */
export async function startWorker(
  kind: Kind,
  finished: Finished,
  queue: string,
  process: (n: number, context: ProcessorContext) => unknown,
  options: TestWorkerOptions & { timeoutMs?: number; usesTransaction?: boolean } = {},
): Promise<TestWorker> {
  const { timeoutMs, usesTransaction, settings, ...rest } = options
  const processor = defineProcessor({
    queue,
    payload,
    visibilityTimeoutSeconds: LEASE_SECONDS,
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    ...(usesTransaction ? { usesTransaction } : {}),
    async process({ n }, context) {
      await process(n, context)
    },
  })
  const worker = testWorker(kind, [processor], {
    ...rest,
    connection: rest.connection ?? openTransport(kind, inject('stack')),
    settings: { toleratedOutageMs: TOLERATED_OUTAGE_MS, ...settings },
  })
  finished(() => worker.stop('the test is over', { hurry: true }))
  await worker.start()
  return worker
}

/** How often each thing happened to the connection, in order. */
export function connectionEvents(worker: TestWorker): string[] {
  return worker.events.flatMap((event) => {
    if (event.name === 'connectionLost') return [`lost: ${event.failure.kind}`]
    return event.name === 'connectionBack' ? ['back'] : []
  })
}

/**
 * All outages are over, in each of them each failure was told once by its class and remedy, and one began with this class if one
 * is given. There may have been several: a busy machine has some of its own.
 */
export function toldEachOutage(worker: TestWorker, first?: FailureKind): boolean {
  const outages: ConnectionFailure[][] = [[]]
  for (const event of worker.events) {
    if (event.name === 'connectionBack') outages.push([])
    else if (event.name === 'connectionLost') outages.at(-1)?.push(event.failure)
  }
  const isOver = outages.pop()?.length === 0
  const isOnce = (told: readonly ConnectionFailure[]) =>
    told.length > 0 && new Set(told.map(({ kind, remedy }) => `${kind} ${remedy}`)).size === told.length
  return (
    isOver && outages.every(isOnce) && outages.some((told) => first === undefined || told[0]?.kind === first)
  )
}

/** Where each message of a queue is, and how often it was read. */
export async function whereabouts(look: Inspector, queue: string): Promise<string[]> {
  const of = (where: string) => (row: { read_ct: number; message: unknown }) =>
    `${where} ${(row.message as { n: number }).n}, read ${row.read_ct}`
  const dead = await look.deadLetters(queue)
  return [
    ...(await look.messages(queue)).map(of('waits')),
    ...(await look.archived(queue)).map(of('archived')),
    ...dead.map(({ message }) => `dead: ${JSON.stringify(message.message)}`),
  ]
}

export const count = (worker: TestWorker, name: TestWorker['events'][number]['name']): number =>
  worker.events.filter((event) => event.name === name).length
