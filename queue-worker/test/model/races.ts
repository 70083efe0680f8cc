/** Two requests at the same moment, over two connections: the end must be that of one after the other. */
import { expect } from 'vitest'
import * as model from './model.ts'
import { learn, pictureOf, takePicture, UNIT_SECONDS } from './picture.ts'
import type { Ticket } from './state.ts'
import * as world from './world.ts'

/** Two operations on the same delivery: answers and tables are those of one of the two orders. */
export async function raceOfOperations(
  known: world.World,
  real: world.Real,
  ticket: Ticket,
  one: world.Operation,
  other: world.Operation,
): Promise<void> {
  const receipt = world.receiptOf(known, real, ticket)
  const answers = await Promise.all([world.perform(real, receipt, one), world.perform(real, receipt, other)])
  const picture = await takePicture(real.sql, real.name)
  const oneFirst = structuredClone(known.state)
  const otherFirst = structuredClone(known.state)
  const predicted = [
    [world.predict(oneFirst, ticket, one), world.predict(oneFirst, ticket, other)],
    [world.predict(otherFirst, ticket, other), world.predict(otherFirst, ticket, one)].toReversed(),
  ]
  const ends = [oneFirst, otherFirst].map((state, index) => {
    learn(state, picture)
    return { answers: predicted[index], picture: pictureOf(state) }
  })
  const really = { answers, picture }
  const order = ends.findIndex((end) => isEqual(end, really))
  expect(order === -1 ? ends : [], 'neither order ends like this').toEqual(order === -1 ? [really] : [])
  known.state = order === 0 ? oneFirst : otherFirst
  known.held = known.held.filter((lease) => lease.ticket !== ticket)
  for (const asked of [one, other]) {
    if (asked.type === 'settle') known.settled.push({ ticket, outcome: asked.outcome })
  }
}

/** Two reads: no message goes to both, and together they find all that one of them would have found. */
export async function raceOfReads(
  known: world.World,
  real: world.Real,
  limits: readonly [number, number],
): Promise<void> {
  const due = known.state.rows.filter((row) => !known.state.paused && model.isDue(known.state, row)).length
  const answers = await Promise.all(
    limits.map((limit) =>
      real.queue.read([{ queue: real.name, limit, visibilityTimeoutSeconds: UNIT_SECONDS }], 64e6),
    ),
  )
  const labels = answers.map(({ messages }) => world.labelsOf(messages))
  expect(new Set(labels.flat()).size).toBe(labels.flat().length)
  expect(labels.flat()).toHaveLength(Math.min(due, limits[0] + limits[1]))
  for (const [index, { messages }] of answers.entries()) {
    const own = labels[index] ?? []
    expect(own.length).toBeLessThanOrEqual(limits[index] ?? 0)
    world.adopt(known, messages, index, 1)
  }
}

function isEqual(a: unknown, b: unknown): boolean {
  try {
    expect(a).toEqual(b)
    return true
  } catch {
    return false
  }
}
