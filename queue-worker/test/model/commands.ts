/** What can happen to a queue, as fast-check commands: each does it to both sides and compares all there is. */
import fc from 'fast-check'
import { expect } from 'vitest'
import {
  at,
  concrete,
  concreteOperation,
  few,
  labelled,
  operation,
  outcome,
  type PlannedOutcome,
  type PlannedSend,
  pick,
  plannedSend,
  worker,
} from './choices.ts'
import * as model from './model.ts'
import { UNIT_SECONDS } from './picture.ts'
import { raceOfOperations, raceOfReads } from './races.ts'
import type { ModelOutcome, Ticket } from './state.ts'
import {
  compared,
  type Operation,
  outcomeFor,
  perform,
  predict,
  type Real,
  readBoth,
  receiptOf,
  sendFor,
  takeOver,
  type World,
} from './world.ts'

export type Command = fc.AsyncCommand<World, Real>

const send = command('send', fc.array(plannedSend, { minLength: 1, maxLength: 5 }), always, sendBoth)
const read = command('read', fc.tuple(worker, few, few), always, (known, real, [who, limit, timeout]) =>
  readBoth(known, real, who, limit, timeout),
)
const work = command('work', fc.tuple(pick, operation), holds, (known, real, [index, plan]) =>
  askBoth(known, real, at(known.held, index).ticket, concreteOperation(known, plan)),
)
/** A worker that stalled, or was taken for dead, and now goes on with a delivery that may be long over. */
const late = command('late', fc.tuple(pick, operation), hasRead, (known, real, [index, plan]) =>
  askBoth(known, real, at(known.all, index), concreteOperation(known, plan)),
)
/** The answer was lost on the way: the same request once more. */
const again = command('again', pick, hasSettled, (known, real, index) => {
  const { ticket, outcome: same } = at(known.settled, index)
  return askBoth(known, real, ticket, { type: 'settle', outcome: same })
})
const contradict = command('contradict', fc.tuple(pick, outcome), hasSettled, (known, real, [index, other]) =>
  askBoth(known, real, at(known.settled, index).ticket, { type: 'settle', outcome: concrete(known, other) }),
)
const several = fc.array(fc.tuple(pick, outcome), { maxLength: 4 })
const exchange = command('exchange', fc.tuple(several, worker, few), hasRead, exchangeBoth)
const die = command('die', worker, holds, async (known, _real, who) => {
  known.held = known.held.filter((lease) => lease.worker !== who)
})
const wait = command('wait', few, always, async (known, real, by) => {
  known.state.now += by
  const table = real.look.table('q', real.name)
  await real.sql`update ${table} set vt = vt - make_interval(secs => ${by * UNIT_SECONDS})`
})
const pause = command('pause', fc.boolean(), always, async (known, real, paused) => {
  known.state.paused = paused
  await real.queue.setPaused(real.name, paused)
})
const letters = fc.option(fc.array(pick, { maxLength: 3 }))
const redrive = command(
  'redrive',
  fc.tuple(letters, few),
  hasLetters,
  async (known, real, [picks, limit]) => {
    const ids = picks === null ? null : letterIds(known, picks)
    const sent = await real.queue.redrive(real.name, { limit, ...(ids === null ? {} : { msgIds: ids }) })
    expect(sent.map(({ deadMsgId }) => deadMsgId)).toEqual(model.redrive(known.state, ids, limit))
  },
)
const discard = command(
  'discard',
  fc.array(pick, { maxLength: 2 }),
  hasLetters,
  async (known, real, picks) => {
    const ids = letterIds(known, picks)
    expect(await real.queue.discardDeadLetters(real.name, { msgIds: ids })).toMatchObject({
      discarded: model.discard(known.state, ids),
    })
  },
)
const race = command(
  'race',
  fc.tuple(pick, operation, operation),
  hasRead,
  (known, real, [index, ...plans]) => {
    const [one, other] = plans.map((plan) => concreteOperation(known, plan))
    // Of an old delivery there is little to race for.
    const ticket = at(known.all.slice(-3), index)
    return one && other ? raceOfOperations(known, real, ticket, one, other) : expect.fail('two were planned')
  },
)
const reads = command('read twice at once', fc.tuple(few, few), always, raceOfReads)

/** Named twice: happens twice as often. */
export const commands: fc.Arbitrary<Command>[] = [
  ...[send, read, read, work, work, late, again, again, contradict, exchange, race, race],
  ...[die, wait, wait, pause, redrive, discard, reads],
]

/** A command over some choices; `can` says when it makes sense, so that shrinking leaves no nonsense. */
function command<T>(
  name: string,
  choices: fc.Arbitrary<T>,
  can: (known: World) => boolean,
  run: (known: World, real: Real, chosen: T) => Promise<void>,
): fc.Arbitrary<Command> {
  return choices.map((chosen) => ({
    check: (known) => can(known),
    run: (known, real) => compared(known, real, () => run(known, real, chosen)),
    toString: () => `${name}(${JSON.stringify(chosen)})`,
  }))
}

export async function sendBoth(known: World, real: Real, plan: readonly PlannedSend[]): Promise<void> {
  const sends = labelled(known, plan)
  const expected = model.send(known.state, sends)
  const results = await real.queue.send(sends.map((one) => sendFor(real.name, one)))
  for (const [index, { msgId, duplicate }] of results.entries()) {
    const first = expected[index]
    expect(duplicate).toBe(typeof first === 'number')
    const sentBefore = known.state.rows.find((row) => row.label === first)?.msgId
    if (duplicate) expect(msgId).toBe(sentBefore ?? msgId)
  }
}

/** Asks both about one delivery. What is to change nothing must leave every byte as it was. */
async function askBoth(known: World, real: Real, ticket: Ticket, asked: Operation): Promise<void> {
  const receipt = receiptOf(known, real, ticket)
  const before = await real.look.snapshot(real.name)
  const expected = predict(known.state, ticket, asked)
  expect(await perform(real, receipt, asked), JSON.stringify(asked)).toBe(expected)
  const hasActed = expected === 'ok' || expected === true
  if (!hasActed) expect(await real.look.snapshot(real.name), 'nothing was to change').toEqual(before)
  if (asked.type === 'settle') remember(known, ticket, asked.outcome)
}

/** Settlements of several deliveries and a read, in one request. */
async function exchangeBoth(
  known: World,
  real: Real,
  [plans, who, limit]: [[number, PlannedOutcome][], number, number],
): Promise<void> {
  const chosen = plans.map(([index, plan], place) => ({
    ticket: at(known.all, index),
    // In which order the sends of one call are sent is not promised: only one settlement has keys.
    outcome: concrete(known, place === 0 ? plan : withoutKeys(plan)),
  }))
  const settlements = chosen.map(({ ticket, outcome }) => ({
    receipt: receiptOf(known, real, ticket),
    outcome: outcomeFor(real.name, outcome),
  }))
  const demand = { queue: real.name, limit, visibilityTimeoutSeconds: UNIT_SECONDS }
  const answer = await real.queue.exchange(settlements, 'model', [demand], 64e6)
  expect(
    answer.settled.map(({ status }) => status),
    JSON.stringify(answer.settled),
  ).toEqual(model.settle(known.state, chosen))
  for (const { ticket, outcome } of chosen) remember(known, ticket, outcome)
  takeOver(known, answer.read.messages, who, limit, 1)
}

function withoutKeys(plan: PlannedOutcome): PlannedOutcome {
  return 'sends' in plan ? { ...plan, sends: plan.sends.map((one) => ({ ...one, key: null })) } : plan
}

function remember(known: World, ticket: Ticket, settled: ModelOutcome): void {
  known.settled.push({ ticket, outcome: settled })
  known.held = known.held.filter((lease) => lease.ticket !== ticket)
}

function letterIds({ state }: World, picks: readonly number[]): string[] {
  return picks.map((index) => at(state.letters, index).msgId ?? '0')
}

function always(): boolean {
  return true
}
function holds({ held }: World): boolean {
  return held.length > 0
}
function hasRead({ all }: World): boolean {
  return all.length > 0
}
function hasSettled({ settled }: World): boolean {
  return settled.length > 0
}
function hasLetters({ state }: World): boolean {
  return state.letters.length > 0
}
