/** The model and the real queue side by side: what a command works on, and how the two are asked the same thing. */
import type { Sql } from 'postgres'
import { expect } from 'vitest'
import type { Outcome, Queue, SettleStatus } from '../../src/queue/contract.ts'
import type { Receipt } from '../../src/queue/message.ts'
import { type Inspector, uniqueQueue } from '../support/queues.ts'
import * as model from './model.ts'
import { expectAgreement, takePicture, UNIT_SECONDS } from './picture.ts'
import { at, emptyState, type ModelOutcome, type ModelSend, type State, type Ticket } from './state.ts'

/** One thing that a worker can ask about a delivery it was given. */
export type Operation =
  | { readonly type: 'settle'; readonly outcome: ModelOutcome }
  | { readonly type: 'extend' | 'isolate'; readonly units: number }
export type Answer = SettleStatus | boolean
type Lease = { readonly ticket: Ticket; readonly worker: number }

/** What commands choose from. A worker that stalls keeps its leases, one that dies forgets them. */
export type World = {
  state: State
  /** Labels given out; one whose send was a duplicate never becomes a message. */
  labels: number
  held: Lease[]
  /** Every delivery there ever was. */
  readonly all: Ticket[]
  readonly settled: { readonly ticket: Ticket; readonly outcome: ModelOutcome }[]
}

export type Real = {
  readonly queue: Queue
  /** As superuser: to look, and to move time. */
  readonly sql: Sql
  readonly look: Inspector
  readonly name: string
  /** How often which answer was given, over all runs: to see that a test reaches what it claims to. */
  readonly seen: Map<string, number>
}

export function emptyWorld(): World {
  return { state: emptyState(), labels: 0, held: [], all: [], settled: [] }
}

export async function openReal(parts: Omit<Real, 'name'>): Promise<Real> {
  const name = uniqueQueue('model')
  await parts.queue.ensureQueue(name, { notify: false })
  return { ...parts, name }
}

/** Runs a command's body: one step of the model's time within its unit, and a comparison at the end. */
export async function compared(world: World, real: Real, body: () => Promise<void>): Promise<void> {
  world.state.step += 1
  await body()
  expectAgreement(world.state, await takePicture(real.sql, real.name), world.labels)
}

/** What the model answers; changes its state. */
export function predict(state: State, ticket: Ticket, operation: Operation): Answer {
  if (operation.type === 'settle') {
    return model.settle(state, [{ ticket, outcome: operation.outcome }])[0] ?? expect.fail('no answer')
  }
  if (operation.type === 'extend') return model.extend(state, ticket, operation.units)
  return model.isolate(state, ticket, operation.units)
}

export async function perform(real: Real, receipt: Receipt, operation: Operation): Promise<Answer> {
  const answer = await ask(real, receipt, operation)
  const what = operation.type === 'settle' ? operation.outcome.kind : operation.type
  real.seen.set(`${what}: ${answer}`, (real.seen.get(`${what}: ${answer}`) ?? 0) + 1)
  return answer
}

async function ask({ queue, name }: Real, receipt: Receipt, operation: Operation): Promise<Answer> {
  if (operation.type === 'settle') {
    const outcome = outcomeFor(name, operation.outcome)
    const [result] = await queue.settle([{ receipt, outcome, ranMs: 1 }], 'model')
    // The only reason there is here; any other is a mistake, and must not pass for this one.
    if (result?.error && !result.error.includes('there is no queue')) throw new Error(result.error)
    return result?.status ?? expect.fail('no answer')
  }
  const extension = { receipt, visibilityTimeoutSeconds: operation.units * UNIT_SECONDS }
  if (operation.type === 'isolate') return queue.isolate(extension, 'model')
  return (await queue.extend([extension]))[0] ?? expect.fail('no answer')
}

export function receiptOf(world: World, { name }: Real, { row, delivery }: Ticket): Receipt {
  const { msgId, enqueuedAt } = at(world.state, row)
  if (msgId === null || enqueuedAt === null) throw new Error('never read')
  return { queue: name, msgId, enqueuedAt, delivery }
}

export function outcomeFor(name: string, outcome: ModelOutcome): Outcome {
  switch (outcome.kind) {
    case 'archive':
    case 'delete':
      return { kind: outcome.kind, sends: outcome.sends.map((one) => sendFor(name, one)) }
    case 'retry':
      return { kind: 'retry', delayMs: outcome.delay * UNIT_SECONDS * 1000, error: 'it failed' }
    case 'snooze':
      return { kind: 'snooze', delayMs: outcome.delay * UNIT_SECONDS * 1000 }
    case 'dead':
      return { kind: 'dead', reason: outcome.reason, error: 'it is dead', attempts: 1 }
    case 'release':
      return { kind: 'release' }
  }
}

export function sendFor(name: string, { label, delay, key, missing }: ModelSend) {
  return {
    queue: missing ? `${name}_no` : name,
    message: { n: label },
    delaySeconds: delay * UNIT_SECONDS,
    ...(key === null ? {} : { idempotencyKey: key }),
  }
}

/** A read of both; the model takes over which of the due messages the database chose, if the choice was fair. */
export async function readBoth(world: World, real: Real, worker: number, limit: number, units: number) {
  const demand = { queue: real.name, limit, visibilityTimeoutSeconds: units * UNIT_SECONDS }
  const { messages, queues } = await real.queue.read([demand], 64e6)
  expect(queues[0]?.status).toBe(world.state.paused ? 'paused' : 'ok')
  takeOver(world, messages, worker, limit, units)
}

type Messages = Awaited<ReturnType<Queue['read']>>['messages']

/** The messages that a read gave a worker, if they are those the model allows and say what the model knows. */
export function takeOver(
  world: World,
  messages: Messages,
  worker: number,
  limit: number,
  units: number,
): void {
  const labels = labelsOf(messages)
  expect(model.readIsFair(world.state, labels, limit), `read ${labels} of ${limit}`).toBe(true)
  adopt(world, messages, worker, units)
}

/** They are this worker's leases from now on. */
export function adopt(world: World, messages: Messages, worker: number, units: number): void {
  for (const [index, ticket] of model.read(world.state, labelsOf(messages), units).entries()) {
    const row = at(world.state, ticket.row)
    const message = messages[index] ?? expect.fail('fewer messages than tickets')
    row.msgId ??= message.msgId
    row.enqueuedAt ??= message.enqueuedAt
    row.originKey ??= message.originKey
    expect(message).toMatchObject({
      msgId: row.msgId,
      originKey: row.originKey,
      enqueuedAt: row.enqueuedAt,
      delivery: ticket.delivery,
      ...model.counters(row),
    })
    world.all.push(ticket)
    world.held.push({ ticket, worker })
  }
}

export function labelsOf(messages: Messages): number[] {
  return messages.map(({ payload }) => (payload as { n: number }).n)
}
