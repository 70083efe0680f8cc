/** A scheduler as a program of its own: connects, ticks, tells how it is, stops. */
import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import type { Listener } from '../engine/events.ts'
import { handshake } from '../engine/handshake.ts'
import { type Health, healthOf } from '../engine/health.ts'
import { observe } from '../engine/observed.ts'
import { startRegistry } from '../engine/registry.ts'
import { CLOSE_MS, timeLimit, within } from '../engine/shutdown.ts'
import { watched } from '../engine/watched.ts'
import { coerceError } from '../errors.ts'
import type { Queue, Transport } from '../queue/contract.ts'
import { createQueue } from '../queue/queue.ts'
import { startPruning } from './pruning.ts'
import { createScheduleRecords } from './records.ts'
import { startTicking, type Ticking, type TickingParts } from './ticking.ts'

export type SchedulerSettings = {
  /** Its name in the registry, beside its process. */
  readonly workerId: string
  /** The longest it sleeps: so soon it notices schedules that were added or changed. */
  readonly pollMs: number
  /** Without any success for this long, it ends with an error. */
  readonly giveUpSeconds: number
  /** Readiness turns red when it could not work for longer than this; undefined: 10 seconds. */
  readonly toleratedOutageMs?: number | undefined
  /** As for a worker. */
  readonly stuckAfterMs?: number | undefined
}

/** Deletes old records over a connection, a round of it; returns how many rows of each kind. */
export type PruneOver = (queue: Queue, signal: AbortSignal) => Promise<Readonly<Record<string, number>>>

export const DEFAULT_SCHEDULER = { pollMs: 15_000, giveUpSeconds: 900 }

export type SchedulerHealth = Pick<
  Health,
  'ready' | 'reason' | 'state' | 'transport' | 'downMs' | 'parts' | 'stuck' | 'lastError'
>

export type Scheduler = {
  /** Resolves when it ticks; rejects with what a person must mend: then call `stop`, which closes the connection. */
  start(): Promise<void>
  /** Resolves when what is under way is done, or after a few seconds, and all is closed; never rejects. */
  stop(reason: string): Promise<void>
  /** Resolves when it has stopped, whoever asked; rejects when it gave up. */
  readonly done: Promise<void>
  health(): SchedulerHealth
}

const LOOK_MS = 200

/** All that a scheduler does, wherever it runs: sends what is due, and now and then deletes what is old. */
export function startScheduling(
  parts: TickingParts & { readonly queue: Queue; readonly prune: PruneOver | undefined },
): Ticking {
  const { queue, prune } = parts
  const ticking = startTicking(parts)
  const pruning = prune && startPruning({ ...parts, prune: (signal) => prune(queue, signal) })
  return { stop: async () => void (await Promise.all([ticking.stop(), pruning?.stop()])) }
}

export function createSchedulerEngine(parts: {
  readonly connection: Transport
  readonly settings: SchedulerSettings
  readonly listeners: readonly Listener[]
  readonly version: string
  readonly prune?: PruneOver | undefined
}): Scheduler {
  const { connection, settings } = parts
  const giveUpMs = settings.giveUpSeconds * 1000
  const now = () => performance.now()
  const { emit, outage, pulse, facts } = observe({ ...parts, queues: [], now })
  const queue = watched(createQueue(connection), { outage, emit })
  const records = createScheduleRecords(connection.call)
  const abortStart = new AbortController()
  const done = Promise.withResolvers<void>()
  done.promise.catch(() => {})
  let state: Health['state'] = 'starting'
  const instance = randomUUID()
  let working: readonly { stop(): Promise<void> }[] = []
  let look: NodeJS.Timeout | undefined
  let stopping: Promise<void> | null = null

  async function begin(): Promise<void> {
    const status = await handshake({
      // Asked for nothing: whether it may, and the functions are there, is known before it says that it works.
      queue: { ...queue, status: () => records.tick([], 1).then(queue.status) },
      queues: [],
      notify: false,
      outage,
      emit,
      giveUpMs,
      signal: abortStart.signal,
    })
    if (status === null || stopping !== null) return
    const { kind: transport, target } = connection
    const { version } = parts
    emit('connected', { workerId: settings.workerId, version, transport, target, database: status })
    const onBroken = (error: unknown) => giveUp(coerceError(error))
    working = [
      startScheduling({ ...settings, connection, queue, outage, pulse, emit, onBroken, prune: parts.prune }),
      startRegistry({
        queue,
        emit,
        describe,
        onDrain: () => void stop('the registry asked it to stop'),
        onBroken,
      }),
    ]
    look = setInterval(() => {
      const failure = outage.look(giveUpMs)
      if (failure !== null) giveUp(failure)
    }, LOOK_MS)
    state = 'running'
  }

  const describe = () => ({
    ...{ workerId: settings.workerId, instance, version: parts.version, host: hostname(), pid: process.pid },
    ...{ queues: [], inFlight: 0, stopping: state === 'stopping', schedules: true },
  })

  function giveUp(failure: Error): void {
    done.reject(failure)
    void stop(`it cannot go on: ${failure.message}`)
  }

  function stop(reason: string): Promise<void> {
    stopping ??= end(reason)
    return stopping
  }

  async function end(reason: string): Promise<void> {
    state = 'stopping'
    abortStart.abort()
    clearInterval(look)
    await within(timeLimit(CLOSE_MS), Promise.allSettled(working.map((one) => one.stop())))
    await connection.close().catch((error: unknown) => done.reject(error))
    state = 'stopped'
    emit('stopped', { reason })
    done.resolve()
  }

  return {
    start: begin,
    stop,
    done: done.promise,
    health() {
      const { ready, reason, ...told } = healthOf({
        ...{
          state,
          transport: connection.kind,
          who: 'scheduler',
          wake: 'poll',
          inFlight: 0,
          zombies: 0,
          slots: 1,
        },
        ...{ unsettled: 0, ...facts() },
      })
      const { downMs, parts: each, stuck, lastError } = told
      return { ready, reason, state, transport: connection.kind, downMs, parts: each, stuck, lastError }
    },
  }
}
