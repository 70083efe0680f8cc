/** Everything that goes on while a worker runs: reading, heartbeats, the registry, notifications, and a look around. */
import type { Queue, WorkerBeat } from '../queue/contract.ts'
import type { Consumer } from './consumer.ts'
import type { Emit } from './events.ts'
import { startHeartbeat } from './heartbeat.ts'
import type { Leases } from './leases.ts'
import { createNotifications } from './notifications.ts'
import type { Outage } from './outage.ts'
import type { Pulse } from './pulse.ts'
import { type Reader, startReader } from './reader.ts'
import { startRegistry } from './registry.ts'
import type { WorkerSettings } from './settings.ts'
import type { Settler } from './settler.ts'

export type Running = {
  readonly reader: Reader
  /** Resolves when it is known how the worker is woken. */
  readonly listening: Promise<void>
  readonly wake: 'notify' | 'poll'
  close(): Promise<void>
}

/** Sends what schedules ask for, beside the reading and on the same account of outages. */
export type StartScheduler = (parts: Pick<RunningParts, 'outage' | 'pulse' | 'emit' | 'onBroken'>) => {
  stop(): Promise<void>
}

export type RunningParts = {
  readonly queue: Queue
  readonly settings: WorkerSettings
  readonly scheduler?: StartScheduler | undefined
  readonly consumers: readonly Consumer[]
  readonly leases: Leases
  readonly settler: Settler
  readonly outage: Outage
  readonly pulse: Pulse
  readonly emit: Emit
  readonly now: () => number
  readonly heartbeatMs: number
  readonly describe: () => WorkerBeat
  /** Called after each read. */
  readonly onRead: (durationMs: number) => void
  /** Called several times a second. */
  readonly onLook: () => void
  readonly onDrain: () => void
  readonly onBroken: (error: unknown) => void
}

const LOOK_MS = 200

export function startRunning(parts: RunningParts): Running {
  const { queue, settings, consumers, leases, now } = parts
  const heartbeat = startHeartbeat({ ...parts, intervalMs: parts.heartbeatMs })
  const reader = startReader({
    ...parts,
    ...settings,
    onRead(durationMs) {
      // The leases of a slow read are short already.
      if (durationMs > parts.heartbeatMs / 2) heartbeat.soon()
      parts.onRead(durationMs)
    },
  })
  const registry = startRegistry(parts)
  const scheduler = parts.scheduler?.(parts)
  const notifications = createNotifications(settings.notify ? queue : {}, reader)

  /** What nothing else would notice: leases past their deadline, time limits, an outage that never ends. */
  const look = setInterval(() => {
    leases.expire(now())
    for (const consumer of consumers) consumer.watch(now())
    parts.onLook()
  }, LOOK_MS)

  return {
    reader,
    listening: notifications.start(),
    get wake() {
      return notifications.isOn ? 'notify' : 'poll'
    },
    async close() {
      clearInterval(look)
      await Promise.allSettled([heartbeat.stop(), registry.stop(), notifications.stop(), scheduler?.stop()])
    },
  }
}
