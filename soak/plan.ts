/** From a seed and the settings to everything that will be done: which messages are sent, which faults strike. Pure. */

import { KINDS, type Kind, kinds, type Payload, rulesOf } from './kinds.ts'
import { type Fault, planFaults } from './plan-faults.ts'
import { createRandom, type Random } from './random.ts'
import type { PlanSettings } from './settings.ts'

/** How a message is sent: in SQL in a transaction, in one that is rolled back, or by the TypeScript producer. */
export type Via = 'sql' | 'rolled_back' | 'rpc' | 'postgres'

export type PlannedMessage = {
  readonly n: number
  readonly atMs: number
  readonly kind: Kind
  readonly via: Via
  /** Sent again with the same idempotency key. */
  readonly twice: boolean
  readonly payload: Payload
}

export type Plan = { readonly messages: readonly PlannedMessage[]; readonly faults: readonly Fault[] }

/** One poison for so many milliseconds, and one at least: each costs two workers and its company some seconds. */
const POISON_EVERY_MS = 60_000

export function planSoak(settings: PlanSettings): Plan {
  return { messages: planMessages(settings), faults: planFaults(settings) }
}

function planMessages(settings: PlanSettings): PlannedMessage[] {
  const random = createRandom(settings.seed, 1)
  const endMs = settings.seconds * 1000
  const drawable = kinds.filter(
    (kind) => rulesOf(kind).queue !== 'transact' || settings.transports.includes('postgres'),
  )
  const messages: PlannedMessage[] = []
  let poisonAtMs = Math.min(2000, endMs / 4)
  for (let atMs = 0; ; ) {
    atMs += (random.next() * 2000) / settings.messagesPerSecond
    if (atMs >= endMs) return messages
    let kind = drawKind(random, drawable)
    if (atMs >= poisonAtMs) {
      kind = 'poison'
      poisonAtMs += POISON_EVERY_MS
    }
    messages.push(planMessage(random, messages.length + 1, Math.round(atMs), kind, settings.transports))
  }
}

function drawKind(random: Random, from: readonly Kind[]): Kind {
  let left = random.next() * from.reduce((sum, kind) => sum + KINDS[kind].weight, 0)
  for (const kind of from) {
    left -= KINDS[kind].weight
    if (left < 0) return kind
  }
  return 'quick'
}

function planMessage(
  random: Random,
  n: number,
  atMs: number,
  kind: Kind,
  transports: PlanSettings['transports'],
): PlannedMessage {
  const rolledBack = kind !== 'poison' && random.chance(0.05)
  const via = rolledBack ? 'rolled_back' : random.chance(0.5) ? 'sql' : random.pick(transports)
  const twice = (via === 'rpc' || via === 'postgres') && random.chance(0.2)
  const delaySeconds = random.chance(0.08) ? random.between(1, 4) : 0
  const { ms, times } = details(random, kind)
  return { n, atMs, kind, via, twice, payload: { n, kind, ms, times, delaySeconds } }
}

function details(random: Random, kind: Kind): { ms: number | string; times: number } {
  switch (kind) {
    case 'slow':
      return { ms: random.between(200, 1200), times: 0 }
    case 'lingers':
      return { ms: random.between(2000, 4500), times: 0 }
    case 'fails':
      return { ms: random.between(0, 20), times: random.between(1, 3) }
    case 'snoozes':
      return { ms: 0, times: random.between(1, 3) }
    case 'hold':
    case 'repeat':
    case 'transaction':
      // Long enough, now and then, to be in the middle of it when something strikes.
      return { ms: random.chance(0.3) ? random.between(300, 1500) : random.between(0, 50), times: 0 }
    case 'large':
      return { ms: 0, times: random.between(50_000, 300_000) }
    case 'zombie':
      return { ms: random.between(3200, 6000), times: 0 }
    case 'invalid':
      return { ms: 'soon', times: 0 }
    default:
      return { ms: random.between(0, 20), times: 0 }
  }
}
