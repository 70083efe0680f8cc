/** Which faults strike, when, for how long and whom: a pure function of the seed. */
import { KINDS, QUEUES, VISIBILITY_TIMEOUT_SECONDS } from './kinds.ts'
import { createRandom } from './random.ts'
import { type PlanSettings, slotNames } from './settings.ts'

export type FaultKind = keyof typeof FAULTS

export type Fault = {
  readonly id: number
  readonly kind: FaultKind
  readonly atMs: number
  /** How long it lasts, not counting the time that a stop or a start takes. */
  readonly forMs: number
  /** A worker, a producer, a queue, or whose connections; empty: the server. */
  readonly target: string
}

type Rules = {
  readonly on: 'worker' | 'network' | 'server' | 'sessions' | 'queue' | 'letters'
  readonly leastMs: number
  readonly mostMs: number
}

const LEASE_MS = VISIBILITY_TIMEOUT_SECONDS * 1000

export const FAULTS = {
  kill: { on: 'worker', leastMs: 100, mostMs: 2000 },
  stop: { on: 'worker', leastMs: 100, mostMs: 1500 },
  /** Longer than its leases. */
  freeze: { on: 'worker', leastMs: LEASE_MS + 1000, mostMs: LEASE_MS + 4000 },
  terminate: { on: 'sessions', leastMs: 0, mostMs: 0 },
  /** Too many of them: none gets in, and those that were there are cut. */
  connections: { on: 'sessions', leastMs: 1000, mostMs: 5000 },
  postgres_fast: { on: 'server', leastMs: 200, mostMs: 4000 },
  postgres_immediate: { on: 'server', leastMs: 200, mostMs: 4000 },
  postgrest_kill: { on: 'server', leastMs: 200, mostMs: 4000 },
  slow: { on: 'network', leastMs: 2000, mostMs: 6000 },
  silent: { on: 'network', leastMs: 1000, mostMs: 5000 },
  held: { on: 'network', leastMs: 1000, mostMs: 6000 },
  half_answer: { on: 'network', leastMs: 2000, mostMs: 2000 },
  hang_up: { on: 'network', leastMs: 500, mostMs: 5000 },
  lock: { on: 'queue', leastMs: 500, mostMs: 5000 },
  /** Full, for one queue's tables. */
  disk: { on: 'queue', leastMs: 1000, mostMs: 5000 },
  pause: { on: 'queue', leastMs: 500, mostMs: 4000 },
  redrive: { on: 'letters', leastMs: 0, mostMs: 0 },
} as const satisfies Record<string, Rules>

export const faultKinds = Object.keys(FAULTS) as FaultKind[]

/** Mean of the pauses between two faults. */
const PAUSE_MS = 1200
/** The same part is left alone for a moment after a fault: else it would never be well. */
const REST_MS = 1500

export function planFaults(settings: PlanSettings): Fault[] {
  const random = createRandom(settings.seed, 2)
  const endMs = settings.seconds * 1000
  const freeAtMs = new Map<string, number>()
  const faults: Fault[] = []
  let deck: FaultKind[] = []
  for (let atMs = 1000; atMs < endMs; atMs += random.between(0, 2 * PAUSE_MS)) {
    // Each kind comes before any comes again: also a short run has seen most of them.
    if (deck.length === 0) deck = random.shuffled(possible(settings))
    const kind = deck.pop() ?? 'kill'
    const rules: Rules = FAULTS[kind]
    const forMs = random.between(rules.leastMs, rules.mostMs)
    const target = random.pick(targets(rules.on, settings))
    const part = `${rules.on} ${target}`
    if ((freeAtMs.get(part) ?? 0) > atMs || atMs + forMs > endMs) continue
    freeAtMs.set(part, atMs + forMs + REST_MS)
    faults.push({ id: faults.length + 1, kind, atMs, forMs, target })
  }
  return faults
}

function possible({ transports }: PlanSettings): FaultKind[] {
  // Those that strike a single worker come twice: they have a single worker's messages to strike.
  const twice = faultKinds.filter((kind) => FAULTS[kind].on === 'worker')
  return [...faultKinds, ...twice].filter((kind) => kind !== 'postgrest_kill' || transports.includes('rpc'))
}

function targets(on: Rules['on'], settings: PlanSettings): string[] {
  const { transports } = settings
  const busy = [QUEUES.work, QUEUES.brief, QUEUES.follow]
  if (on === 'worker') return slotNames(settings)
  if (on === 'network') return [...slotNames(settings), ...transports.map((kind) => `producer-${kind}`)]
  if (on === 'sessions') return [...transports]
  if (on === 'queue') return transports.includes('postgres') ? [...busy, QUEUES.transact] : busy
  // What kills its process whenever it runs is not brought back.
  if (on === 'letters') return [QUEUES[KINDS.fails_always.queue]]
  return ['']
}

/** One line for the plan that is printed at the start. */
export function describeFault({ atMs, forMs, kind, target }: Fault): string {
  const lasting = forMs > 0 ? ` for ${(forMs / 1000).toFixed(1)} s` : ''
  return `${(atMs / 1000).toFixed(1).padStart(6)} s  ${kind}${target ? ` ${target}` : ''}${lasting}`
}
