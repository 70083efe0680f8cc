/** What a command may choose: small ranges, so that choices meet each other often. */
import fc from 'fast-check'
import type { DeadReason } from '../../src/queue/contract.ts'
import type { ModelOutcome, ModelSend } from './state.ts'
import type { Operation, World } from './world.ts'

/** What will be sent; its label is given out when it is sent. */
export type PlannedSend = Omit<ModelSend, 'label'>
export type PlannedOutcome =
  | Exclude<ModelOutcome, { sends: unknown }>
  | { kind: 'archive' | 'delete'; sends: PlannedSend[] }
export type PlannedOperation =
  | { type: 'settle'; outcome: PlannedOutcome }
  | Exclude<Operation, { outcome: unknown }>

export const worker = fc.nat(2)
/** A stretch of time, or a number of messages. */
export const few = fc.integer({ min: 1, max: 3 })
/** One of a list that is known only when the command runs: see `at`. */
export const pick = fc.nat(1000)

const key = fc.option(fc.constantFrom('a', 'b', 'c'), { freq: 2 })
const delay = fc.constantFrom(0, 0, 1, 2)
export const plannedSend: fc.Arbitrary<PlannedSend> = fc.record({ delay, key, missing: fc.constant(false) })
const carriedSend: fc.Arbitrary<PlannedSend> = fc.record({ delay, key, missing: fc.boolean() })
const reason = fc.constantFrom<DeadReason>(
  'invalid_payload',
  'unrecoverable',
  'attempts_exhausted',
  'interruptions_exhausted',
)
export const outcome: fc.Arbitrary<PlannedOutcome> = fc.oneof(
  fc.record({
    kind: fc.constantFrom('archive' as const, 'delete' as const),
    sends: fc.array(carriedSend, { maxLength: 2 }),
  }),
  fc.record({ kind: fc.constantFrom('retry' as const, 'snooze' as const), delay: fc.nat(2) }),
  fc.record({ kind: fc.constant('dead' as const), reason }),
  fc.constant({ kind: 'release' as const }),
)
export const operation: fc.Arbitrary<PlannedOperation> = fc.oneof(
  { weight: 2, arbitrary: fc.record({ type: fc.constant('settle' as const), outcome }) },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constantFrom('extend' as const, 'isolate' as const), units: few }),
  },
)

export function at<T>(list: readonly T[], index: number): T {
  const found = list[index % list.length]
  if (found === undefined) throw new Error('nothing to choose from')
  return found
}

export function labelled(known: World, plan: readonly PlannedSend[]): ModelSend[] {
  return plan.map((one) => ({ ...one, label: known.labels++ }))
}

export function concrete(known: World, plan: PlannedOutcome): ModelOutcome {
  return 'sends' in plan ? { ...plan, sends: labelled(known, plan.sends) } : plan
}

export function concreteOperation(known: World, plan: PlannedOperation): Operation {
  return plan.type === 'settle' ? { type: 'settle', outcome: concrete(known, plan.outcome) } : plan
}
