/** All that metrics are made of, at one moment. As JSON it is for people. */
import type { Health } from '../../engine/health.ts'
import type { CallTally } from './call-tally.ts'
import type { Depths } from './depths.ts'
import type { QueueTally } from './tally.ts'

/** What a scheduler alone does not have is left out. */
export type MeasuredHealth = Pick<Health, 'ready' | 'transport' | 'downMs'> &
  Partial<Pick<Health, 'wake' | 'inFlight' | 'unsettled' | 'zombies'>>

export type Snapshot = CallTally & {
  readonly version: string
  readonly health: MeasuredHealth
  /** What this worker did. */
  readonly queues: Readonly<Record<string, QueueTally>>
  /** What is in the queues, the same for all workers; null when that is not known. */
  readonly depths: Awaited<ReturnType<Depths['read']>>
}
