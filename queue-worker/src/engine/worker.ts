/** The worker: composes reading, running, settling and heartbeats into one thing that starts and stops. */
import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import type { Logger } from 'pino'
import { coerceError } from '../errors.ts'
import type { Processor } from '../processors/define.ts'
import type { Queue } from '../queue/contract.ts'
import type { Tracing } from '../utils/tracing.ts'
import { type Consumer, createConsumer } from './consumer.ts'
import type { Emit, Listener } from './events.ts'
import { handshake } from './handshake.ts'
import { type Health, healthOf } from './health.ts'
import type { Isolation } from './isolation.ts'
import { createLeases } from './leases.ts'
import { observe } from './observed.ts'
import { createQuietWatch, type Quiet } from './quiet.ts'
import { type Running, type StartScheduler, startRunning } from './running.ts'
import { type ConsumerSettings, heartbeatMs, type WorkerSettings } from './settings.ts'
import { createSettler } from './settler.ts'
import { closeProcessor, shutDown } from './shutdown.ts'
import { watched } from './watched.ts'

export type WorkerParts = {
  readonly queue: Queue
  readonly processors: readonly { readonly processor: Processor; readonly settings: ConsumerSettings }[]
  readonly settings: WorkerSettings
  readonly scheduler?: StartScheduler | undefined
  readonly isolation: ((emit: Emit) => Isolation) | null
  readonly logger: Logger
  readonly listeners: readonly Listener[]
  readonly version: string
  readonly tracing: Tracing | null
  /** See RecorderParts. */
  readonly redact?: (text: string) => string
}

export type Worker = {
  /** Resolves when it reads. Rejects with what a person must mend (SetupError, ConnectionFailure): then call `stop`, to close. */
  start(): Promise<void>
  /** Stops gracefully; again with `hurry` it waits no longer. Resolves when all is settled and closed; never rejects. */
  stop(reason: string, options?: { hurry?: boolean }): Promise<void>
  /** Resolves when the worker has stopped, whoever asked; rejects when it gave up, or could not close something. */
  readonly done: Promise<void>
  /** Resolves when the queues are empty: nothing due (or due within `withinMs`) and nothing in flight here. */
  drained(withinMs: number): Promise<void>
  /** Reads at once: somebody says that there is something. */
  lookNow(): void
  /** Null while there is something to do, or it is not known whether there is. */
  quiet(): Quiet | null
  health(): Health
}

export function createEngine(parts: WorkerParts): Worker {
  const { settings, processors } = parts
  const now = () => performance.now()
  const instance = randomUUID()
  const own = processors.map((one) => ({ ...one.settings, name: one.processor.queue }))
  const names = own.map(({ name }) => name)
  const { emit, outage, pulse, facts } = observe({ ...parts, queues: names, now })
  const queue = watched(parts.queue, { outage, emit })
  const leases = createLeases(({ message }) => emit('leaseLost', { message }))
  const settler = createSettler(queue, settings.workerId, outage)
  const isolation = parts.isolation?.(emit) ?? null
  const done = Promise.withResolvers<void>()
  done.promise.catch(() => {})
  const abortStart = new AbortController()
  const hurry = new AbortController()
  const consumers = processors.map((one) =>
    createConsumer({
      ...parts,
      ...one,
      queue,
      leases,
      settler,
      isolation,
      emit,
      now,
      instance,
      workerId: settings.workerId,
      onFree: () => running?.reader.freed(one.processor.queue),
      onHidden: (ms) => running?.reader.expect(one.processor.queue, ms),
    }),
  )
  let state: Health['state'] = 'starting'
  let running: Running | undefined
  let starting: Promise<void> | null = null
  let stopping: Promise<void> | null = null
  const quiet = createQuietWatch(() => running?.reader, now)

  async function begin(): Promise<void> {
    const status = await handshake({
      queue,
      queues: own,
      notify: settings.notify && queue.listen !== undefined,
      outage,
      emit,
      giveUpMs: settings.giveUpSeconds * 1000,
      signal: abortStart.signal,
    })
    if (status === null || stopping !== null) return
    const { transport, target } = queue
    const { workerId } = settings
    emit('connected', { workerId, version: parts.version, transport, target, database: status })
    running = startRunning({
      ...parts,
      queue,
      consumers,
      leases,
      settler,
      outage,
      pulse,
      emit,
      now,
      heartbeatMs: heartbeatMs(settings, own),
      describe: () => ({
        workerId: settings.workerId,
        instance,
        version: parts.version,
        host: hostname(),
        pid: process.pid,
        queues: names,
        inFlight: leases.size,
        stopping: state === 'stopping',
        schedules: parts.scheduler !== undefined,
      }),
      onRead: quiet.onRead,
      onLook() {
        const failure = outage.look(settings.giveUpSeconds * 1000)
        if (failure !== null) giveUp(failure)
      },
      onDrain: () => void stop('the registry asked it to drain'),
      onBroken: (error) => giveUp(coerceError(error)),
    })
    if (quiet.isAwaited) running.reader.hurry()
    await running.listening
    if (stopping !== null) return
    state = 'running'
    emit('started', {
      ...{ workerId, transport, target },
      queues: names,
      wake: running.wake,
      isolation: isolation !== null,
    })
  }

  function giveUp(failure: Error): void {
    done.reject(failure)
    void stop(`it cannot go on: ${failure.message}`, { hurry: true })
  }

  function stop(reason: string, options: { hurry?: boolean } = {}): Promise<void> {
    if (options.hurry) hurry.abort()
    stopping ??= end(reason)
    return stopping
  }

  /** Each step is taken, whatever became of the one before. */
  async function end(reason: string): Promise<void> {
    state = 'stopping'
    abortStart.abort()
    const close = async () => running?.close()
    const closing = { ...settings, consumers, settler, outage, emit, now, hurry: hurry.signal, close }
    const attempt = (step: () => Promise<unknown>) => step().catch((error: unknown) => done.reject(error))
    await attempt(() => shutDown({ ...closing, reader: running?.reader }, reason))
    await attempt(async () => isolation?.close())
    for (const { processor } of processors) await attempt(() => closeProcessor(processor))
    await attempt(() => queue.close())
    state = 'stopped'
    emit('stopped', { reason })
    done.resolve()
  }

  return {
    start: () => (starting ??= begin()),
    stop,
    done: done.promise,
    drained(withinMs) {
      running?.reader.hurry()
      return quiet.empty(withinMs)
    },
    lookNow: () => running?.reader.inserted('*'),
    quiet: quiet.look,
    health() {
      const sum = (of: (one: Consumer) => number) => consumers.reduce((total, one) => total + of(one), 0)
      return healthOf({
        state,
        transport: queue.transport,
        wake: running?.wake ?? 'poll',
        inFlight: leases.size,
        zombies: sum((one) => one.zombies),
        slots: sum((one) => one.concurrency),
        unsettled: settler.pending,
        ...facts(),
      })
    },
  }
}
