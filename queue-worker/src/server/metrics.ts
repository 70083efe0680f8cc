/** The metrics of one worker or scheduler: adds up its events, asks what is in its queues when somebody wants to know, and tells both. */
import type { Listener } from '../engine/events.ts'
import type { QueueOverview } from '../queue/operator.ts'
import { createCallTally } from './metrics/call-tally.ts'
import { createDepths } from './metrics/depths.ts'
import { familiesOf } from './metrics/families.ts'
import { prometheusText } from './metrics/prometheus.ts'
import type { MeasuredHealth, Snapshot } from './metrics/snapshot.ts'
import { createTally } from './metrics/tally.ts'

export { PROMETHEUS_TYPE } from './metrics/prometheus.ts'

export type Metrics = {
  /** To be given to the worker. */
  readonly listener: Listener
  /** As Prometheus reads them. Never rejects. */
  text(health: MeasuredHealth): Promise<string>
  /** As JSON, for people. Never rejects. Errors and the reasons of breakers are left out: anybody may ask. */
  json(health: MeasuredHealth): Promise<unknown>
}

/** `overview` asks the database what is in the queues, every five seconds at most; left out by what has no queues. */
export function createMetrics(parts: {
  readonly queues: readonly string[]
  readonly version: string
  readonly overview?: () => Promise<readonly QueueOverview[]>
  readonly now?: () => number
}): Metrics {
  const { queues, version, overview, now = () => performance.now() } = parts
  const tally = createTally(queues)
  const callTally = createCallTally()
  const depths = overview && createDepths(overview, now)
  const snapshot = async (health: MeasuredHealth): Promise<Snapshot> => ({
    version,
    health,
    ...callTally.read(),
    queues: tally.read(),
    depths: (await depths?.read()) ?? null,
  })

  return {
    listener: { ...tally.listener, ...callTally.listener },
    text: async (health) => prometheusText(familiesOf(await snapshot(health))),
    async json(health) {
      const all = await snapshot(health)
      const known = all.depths?.queues.map(({ lastError, breaker, ...one }) => ({
        ...one,
        breaker: breaker === null ? null : { state: breaker.state, trips: breaker.trips },
      }))
      return { ...all, depths: all.depths === null ? null : { ...all.depths, queues: known } }
    },
  }
}
