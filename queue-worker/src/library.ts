/** What `import 'queue-worker'` gives: a worker, processors, connections and a producer for programs of one's own. */
import { hostname } from 'node:os'
import { fileURLToPath } from 'node:url'
import type { Logger } from 'pino'
import { passwordsIn } from './config/database-url.ts'
import type { Listener } from './engine/events.ts'
import { createIsolation } from './engine/isolation.ts'
import { workerLog } from './engine/log.ts'
import type { StartScheduler } from './engine/running.ts'
import {
  type ConsumerSettings,
  consumerSettings,
  DEFAULT_WORKER,
  type WorkerSettings,
} from './engine/settings.ts'
import { createEngine, type Worker } from './engine/worker.ts'
import { SetupError } from './errors.ts'
import type { Processor } from './processors/define.ts'
import type { Queue, Transport } from './queue/contract.ts'
import { createQueue } from './queue/queue.ts'
import {
  createSchedulerEngine,
  DEFAULT_SCHEDULER,
  type PruneOver,
  type Scheduler,
  type SchedulerSettings,
  startScheduling,
} from './scheduler/scheduler.ts'
import { createLogger } from './utils/logger.ts'
import { createRedactor } from './utils/redact.ts'
import { createTracing } from './utils/tracing.ts'
import { packageVersion } from './version.ts'

export type { Events, Listener } from './engine/events.ts'
export type { Health } from './engine/health.ts'
export type { ConsumerSettings, WorkerSettings } from './engine/settings.ts'
export type { Worker } from './engine/worker.ts'
export {
  ConnectionFailure,
  EffectNotDoneError,
  OutageError,
  RetryAfterError,
  SetupError,
  UncertainEffectError,
  UnrecoverableError,
} from './errors.ts'
export { defineProcessor, type Processor, type ProcessorContext, snooze } from './processors/define.ts'
export { createProducer, type Producer, type ProducerOptions } from './producer.ts'
export type { Send, SendOptions, SendResult, Transport } from './queue/contract.ts'
export type { PruneOver, Scheduler, SchedulerHealth, SchedulerSettings } from './scheduler/scheduler.ts'
export { connectPostgres } from './services/postgres.ts'
export { connectSupabase } from './services/supabase.ts'
export type { WakeOptions } from './services/waker.ts'
export type { TraceContext } from './utils/trace-context.ts'

export type CreateWorkerOptions = {
  readonly connection: Transport
  readonly processors: readonly Processor[]
  /** Defaults for all queues; a processor's own wishes win over them. */
  readonly queueDefaults?: Partial<ConsumerSettings>
  /** By queue name; win over what the processor asks for. */
  readonly queueOverrides?: Readonly<Record<string, Partial<ConsumerSettings>>>
  readonly settings?: Partial<WorkerSettings>
  /** Also send what schedules ask for. Left out: another process does. */
  readonly scheduler?: SchedulerOfWorker
  /** A pino logger, or a level for one of our own ('info' if nothing is given). */
  readonly logger?: Logger | string
  /** Called for each event beside the log. */
  readonly listeners?: readonly Listener[]
  /**
   * Modules (file paths or file: URLs) whose default exports give the same processors. With them, messages whose
   * worker died twice run alone in a child process; without, they are bounded by maxInterruptions only.
   */
  readonly processorModules?: readonly string[]
  /** What the child process of suspects gets as environment; this process's own if left out. */
  readonly environment?: Readonly<Record<string, string | undefined>>
  /**
   * Values that must not get out, beside the connection's own: they are removed from what our loggers write and from
   * errors that are stored with messages. A logger of your own sees to its lines itself.
   */
  readonly secrets?: readonly string[]
}

/** @throws SetupError when two processors share a queue, or one needs what the connection does not have. */
export function createWorker(options: CreateWorkerOptions): Worker {
  const { connection, processors, listeners = [], processorModules: modules = [] } = options
  checkProcessors(processors, connection)
  const queue = createQueue(connection)
  const secrets = [...secretsOf(connection), ...(options.secrets ?? [])]
  const logger = typeof options.logger === 'object' ? options.logger : ownLogger(options.logger, secrets)
  const redact = createRedactor(secrets).text
  const settings: WorkerSettings = { ...DEFAULT_WORKER, workerId: hostname(), ...options.settings }
  return createEngine({
    queue,
    settings,
    logger,
    version: packageVersion(),
    redact,
    tracing: createTracing(redact),
    listeners: [workerLog(logger), ...listeners],
    processors: processors.map((processor) => ({
      processor,
      settings: consumerSettings(processor, options.queueDefaults, options.queueOverrides?.[processor.queue]),
    })),
    scheduler: options.scheduler && besides(connection, queue, options.scheduler),
    isolation:
      modules.length === 0
        ? null
        : (emit) =>
            createIsolation({
              entry: isolatedEntry(),
              modules,
              connection: connection.settings,
              environment: options.environment,
              logging: { level: logger.level, secrets },
              queues: processors.map((processor) => processor.queue),
              queue,
              workerId: settings.workerId,
              emit,
              now: () => performance.now(),
            }),
  })
}

export type SchedulerOfWorker = {
  /** Schedules are looked at at least so often. */
  readonly pollMs?: number
  /** Called every hour to delete old records; left out: nobody does. */
  readonly prune?: PruneOver
}

function besides(connection: Transport, queue: Queue, options: SchedulerOfWorker): StartScheduler {
  const { pollMs = DEFAULT_SCHEDULER.pollMs, prune } = options
  return ({ outage, pulse, emit, onBroken }) =>
    startScheduling({ connection, queue, pollMs, prune, outage, pulse, emit, onBroken })
}

export type CreateSchedulerOptions = {
  readonly connection: Transport
  readonly settings?: Partial<SchedulerSettings>
  /** As for a worker. */
  readonly logger?: Logger | string
  readonly listeners?: readonly Listener[]
  readonly secrets?: readonly string[]
  /** As for the scheduler of a worker. */
  readonly prune?: PruneOver
}

/** A scheduler without a worker: it sends what schedules ask for, and processes nothing. Run as many as you like. */
export function createScheduler(options: CreateSchedulerOptions): Scheduler {
  const { connection, settings, listeners = [] } = options
  const secrets = [...secretsOf(connection), ...(options.secrets ?? [])]
  const logger = typeof options.logger === 'object' ? options.logger : ownLogger(options.logger, secrets)
  return createSchedulerEngine({
    connection,
    settings: { ...DEFAULT_SCHEDULER, workerId: hostname(), ...settings },
    version: packageVersion(),
    listeners: [workerLog(logger), ...listeners],
    prune: options.prune,
  })
}

function checkProcessors(processors: readonly Processor[], connection: Transport): void {
  if (processors.length === 0) throw new SetupError('the worker has no processor', 'Give it at least one')
  const seen = new Set<string>()
  for (const { queue, usesTransaction } of processors) {
    if (seen.has(queue)) {
      throw new SetupError(`two processors are for queue ${queue}`, 'Keep one processor for each queue')
    }
    seen.add(queue)
    if (usesTransaction && connection.transaction === undefined) {
      throw new SetupError(
        `the processor of queue ${queue} uses context.transaction, which RPC does not have`,
        'Connect directly: set DATABASE_URL and QUEUE_TRANSPORT=postgres',
      )
    }
  }
}

function ownLogger(level: string | undefined, secrets: readonly string[]): Logger {
  return createLogger({ level: level ?? 'info', pretty: process.stdout.isTTY === true, secrets })
}

/** What of a connection must never get out. */
function secretsOf({ settings }: Transport): string[] {
  if (settings.kind === 'rpc') return [settings.key]
  const passwords = passwordsIn(settings.url)
  return passwords.length === 0 ? [] : [settings.url, ...passwords]
}

/** This file's own kind (source or built) decides which child module to run. */
function isolatedEntry(): string {
  return fileURLToPath(
    new URL(import.meta.url.endsWith('.ts') ? './isolated.ts' : './isolated.js', import.meta.url),
  )
}
