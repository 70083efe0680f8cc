/** What a worker knows of itself: whether the database answers, how it stands with queues and calls, whether its loops turn. */
import { createEmit, type Emit, type Listener } from './events.ts'
import { createOutage, type Outage } from './outage.ts'
import { type PartHealth, watchCalls } from './part-health.ts'
import { createPulse, type Pulse, type Stuck } from './pulse.ts'
import { type QueueWatch, watchQueues } from './readable.ts'
import type { WorkerSettings } from './settings.ts'

export type Observed = {
  readonly emit: Emit
  readonly outage: Outage
  readonly pulse: Pulse
  /** For its health. */
  facts(): {
    readonly outage: Outage
    readonly toleratedOutageMs: number | undefined
    readonly unreadable: ReturnType<QueueWatch['unreadable']>
    readonly queues: ReturnType<QueueWatch['states']>
    readonly parts: readonly PartHealth[]
    readonly stuck: Stuck | null
  }
}

/** `queues`: none for a scheduler alone. */
export function observe(given: {
  readonly queues: readonly string[]
  readonly settings: Pick<WorkerSettings, 'toleratedOutageMs' | 'stuckAfterMs'>
  readonly listeners: readonly Listener[]
  readonly now: () => number
}): Observed {
  const { queues, now } = given
  const { toleratedOutageMs, stuckAfterMs } = given.settings
  const watch = watchQueues(queues, now)
  const calls = watchCalls(now, toleratedOutageMs)
  const pulse = createPulse(now, stuckAfterMs)
  const emit = createEmit([...given.listeners, watch.listener, calls.listener])
  const outage = createOutage(now, emit, toleratedOutageMs)
  return {
    emit,
    outage,
    pulse,
    facts: () => ({
      outage,
      toleratedOutageMs,
      unreadable: watch.unreadable(),
      queues: watch.states(),
      parts: [...calls.parts(), ...watch.parts()],
      stuck: pulse.stuck(),
    }),
  }
}
