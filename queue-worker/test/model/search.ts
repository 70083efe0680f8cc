/** Searches for a sequence of commands after which the real queue and the model disagree. */
import fc, { type RunDetails } from 'fast-check'
import type { Sql } from 'postgres'
import type { Queue } from '../../src/queue/contract.ts'
import { createInspector } from '../support/queues.ts'
import { type Command, commands, sendBoth } from './commands.ts'
import { compared, emptyWorld, openReal, type Real } from './world.ts'

export type Sought = {
  readonly runs: number
  /** After this long no further run is started, so that a busy machine is not a failure. */
  readonly limitMs: number
  readonly seed?: number
  /** Without, the first failure is told as it is: enough where one is expected. */
  readonly isShrunk: boolean
}

export type Found = {
  readonly details: RunDetails<[Iterable<Command>]>
  /** How often each operation got each answer. */
  readonly seen: Map<string, number>
}

/** `sql` must see the queue's tables: a superuser's. Each run has a queue of its own and drops it. */
export async function search(queue: Queue, sql: Sql, sought: Sought): Promise<Found> {
  const seen = new Map<string, number>()
  const look = createInspector(sql)
  const property = fc.asyncProperty(
    fc.commands(commands, { maxCommands: 60, size: 'max' }),
    async (chosen) => {
      const real = await openReal({ queue, sql, look, seen })
      try {
        await fc.asyncModelRun(() => startedWith(real), chosen)
      } finally {
        await look.drop(real.name)
      }
    },
  )
  const details = await fc.check(property, {
    numRuns: sought.runs,
    interruptAfterTimeLimit: sought.limitMs,
    endOnFailure: !sought.isShrunk,
    ...(sought.seed === undefined ? {} : { seed: sought.seed }),
  })
  return { details, seen }
}

/** A queue with a few messages in it: most of what can happen needs some. */
async function startedWith(real: Real) {
  const model = emptyWorld()
  const plain = { delay: 0, key: null, missing: false }
  await compared(model, real, () => sendBoth(model, real, [plain, plain, { ...plain, key: 'a' }]))
  return { model, real }
}
