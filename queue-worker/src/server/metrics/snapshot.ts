/** All that metrics are made of, at one moment. As JSON it is for people. */
import type { Health } from '../../engine/health.ts'
import type { Depths } from './depths.ts'
import type { QueueTally } from './tally.ts'

export type Snapshot = {
  readonly version: string
  readonly health: Health
  /** What this worker did. */
  readonly queues: Readonly<Record<string, QueueTally>>
  /** What is in the queues, the same for all workers; null when that is not known. */
  readonly depths: Awaited<ReturnType<Depths['read']>>
}
