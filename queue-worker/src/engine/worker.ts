/** The worker: composes reading, running, settling and heartbeats into one thing that starts and stops. */
import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import type { Logger } from 'pino'
import type { ConnectionFailure } from '../errors.ts'
import type { Processor } from '../processors/define.ts'
import type { Queue, WorkerBeat } from '../queue/contract.ts'
import { type Consumer, createConsumer } from './consumer.ts'
import { createEmit, type Listener } from './events.ts'
import { handshake } from './handshake.ts'
import { type Health, notReadyBecause } from './health.ts'
import { startHeartbeat } from './heartbeat.ts'
import type { Isolation } from './isolation.ts'
import { createLeases } from './leases.ts'
import { createOutage } from './outage.ts'
import { type Reader, startReader } from './reader.ts'
import { startRegistry } from './registry.ts'
import { type ConsumerSettings, heartbeatMs, type WorkerSettings } from './settings.ts'
import { createSettler } from './settler.ts'
import { shutDown } from './shutdown.ts'

export type WorkerParts = {
  readonly queue: Queue
  readonly processors: readonly { readonly processor: Processor; readonly settings: ConsumerSettings }[]
  readonly settings: WorkerSettings
  readonly isolation: ((emit: ReturnType<typeof createEmit>) => Isolation) | null
  readonly logger: Logger
  readonly listeners: readonly Listener[]
  readonly version: string
}

export type Worker = {
  /** Resolves when it reads; rejects with what a person must mend (SetupError, ConnectionFailure). */
  start(): Promise<void>
  /** Stops gracefully; again with `hurry` it waits no longer. Resolves when everything is settled and closed. */
  stop(reason: string, options?: { hurry?: boolean }): Promise<void>
  /** Resolves when the worker has stopped, whoever asked; rejects when it gave up. */
  readonly done: Promise<void>
  /** Resolves when the queues are empty: nothing due (or due within `withinMs`) and nothing in flight here. */
  drained(withinMs: number): Promise<void>
  health(): Health
}

const WATCH_MS = 100

export function createEngine(parts: WorkerParts): Worker {
  const { queue, settings } = parts
  const now = () => performance.now()
  const instance = randomUUID()
  const emit = createEmit(parts.listeners)
  const outage = createOutage(now, emit)
  const leases = createLeases()
  const settler = createSettler(queue, settings.workerId, outage)
  const isolation = parts.isolation?.(emit) ?? null
  const done = Promise.withResolvers<void>()
  done.promise.catch(() => {})
  const abortStart = new AbortController()
  const hurry = new AbortController()
  const consumers: Consumer[] = parts.processors.map(({ processor, settings: own }) =>
    createConsumer({
      ...parts,
      processor,
      settings: own,
      leases,
      settler,
      isolation,
      emit,
      now,
      instance,
      workerId: settings.workerId,
      onFree: () => reader?.wake(draining && leases.size === 0),
      onHidden: (ms) => reader?.expect(ms),
    }),
  )
  const slots = sum(consumers, (one) => one.concurrency)
  let state: Health['state'] = 'starting'
  let wake: Health['wake'] = 'poll'
  let reader: Reader | undefined
  let close = async (): Promise<void> => {}
  let stopping: Promise<void> | null = null
  let onQuiet: (() => void)[] = []
  let draining = false

  async function start(): Promise<void> {
    const names = consumers.map((one) => one.queue)
    const listens = settings.notify && queue.listen !== undefined
    const giveUpMs = settings.giveUpSeconds * 1000
    const status = await handshake({
      queue,
      queues: names,
      notify: listens,
      outage,
      giveUpMs,
      signal: abortStart.signal,
    })
    if (status === null || state !== 'starting') return
    reader = startReader({
      queue,
      consumers,
      settler,
      outage,
      emit,
      workerId: settings.workerId,
      pollIntervalMs: settings.pollIntervalMs,
      readBytes: settings.readBytes,
      now,
      onRead: () => {
        for (const check of onQuiet) check()
      },
    })
    const unlisten = listens ? await queue.listen?.(() => reader?.wake(true)).catch(() => null) : null
    if (stopping !== null) return
    wake = unlisten ? 'notify' : 'poll'
    reader.setListening(wake === 'notify')
    reader.wake(true) // for what came before the subscription
    const intervalMs = heartbeatMs(
      settings,
      parts.processors.map((one) => one.settings),
    )
    const heartbeat = startHeartbeat({ queue, leases, outage, emit, intervalMs, now })
    const registry = startRegistry({
      queue,
      outage,
      describe,
      onDrain: () => void stop('the registry asked it to drain'),
    })
    const watch = setInterval(look, WATCH_MS)
    state = 'running'
    close = async () => {
      clearInterval(watch)
      await Promise.all([heartbeat.stop(), registry.stop(), unlisten?.()])
    }
    emit('started', {
      workerId: settings.workerId,
      transport: queue.transport,
      target: queue.target,
      queues: names,
      wake,
      isolation: isolation !== null,
    })
  }

  /** What nothing else would notice: leases past their deadline, time limits, an outage that never ends. */
  function look(): void {
    for (const lease of leases.expire(now())) emit('leaseLost', { message: lease.message })
    for (const consumer of consumers) consumer.watch(now())
    if (outage.downMs() > settings.giveUpSeconds * 1000 && outage.last !== null) giveUp(outage.last)
  }

  function giveUp(failure: ConnectionFailure): void {
    done.reject(failure)
    void stop(`the database has not answered for ${settings.giveUpSeconds} s`, { hurry: true })
  }

  function stop(reason: string, options: { hurry?: boolean } = {}): Promise<void> {
    if (options.hurry) hurry.abort()
    stopping ??= end(reason)
    return stopping
  }

  async function end(reason: string): Promise<void> {
    state = 'stopping'
    abortStart.abort()
    const { drainTimeoutMs } = settings
    const closing = { consumers, reader, settler, outage, emit, drainTimeoutMs, hurry: hurry.signal, close }
    await shutDown(closing, reason)
    await isolation?.close()
    for (const { processor } of parts.processors) await processor.close?.()
    await queue.close()
    state = 'stopped'
    emit('stopped', { reason })
    done.resolve()
  }

  function describe(): WorkerBeat {
    return {
      workerId: settings.workerId,
      instance,
      version: parts.version,
      host: hostname(),
      pid: process.pid,
      queues: consumers.map((one) => one.queue),
      inFlight: leases.size,
      stopping: state === 'stopping',
    }
  }

  return {
    start,
    stop,
    done: done.promise,
    drained(withinMs) {
      draining = true
      return new Promise((resolve) => {
        const check = () => {
          const soonest = reader?.nextVisibleInMs ?? null
          if (reader?.exhausted !== true) reader?.wake(leases.size === 0)
          else if (soonest === null || soonest > withinMs) resolve()
        }
        onQuiet = [...onQuiet, check]
      })
    },
    health() {
      const zombies = sum(consumers, (one) => one.zombies)
      const last = outage.last
      const downMs = outage.downMs()
      const reason = notReadyBecause({ state, downMs, lastMessage: last?.message ?? null, zombies, slots })
      return {
        ready: reason === null,
        reason,
        state,
        transport: queue.transport,
        wake,
        inFlight: leases.size,
        zombies,
        unsettled: settler.pending,
        downMs,
        lastError: last === null ? null : { kind: last.kind, message: last.message, remedy: last.remedy },
      }
    },
  }
}

function sum<T>(list: readonly T[], value: (item: T) => number): number {
  return list.reduce((total, item) => total + value(item), 0)
}
