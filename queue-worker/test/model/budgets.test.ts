/**
 * With the engine's own decisions and the real SQL, every message ends that is neither snoozed nor released for
 * ever, within its budgets: whatever its runs do, and whatever company it was in when a process died.
 */
import fc from 'fast-check'
import postgres, { type Sql } from 'postgres'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { DEFAULT_BACKOFF } from '../../src/engine/backoff.ts'
import { judge, SUSPECT_INTERRUPTIONS } from '../../src/engine/budgets.ts'
import { failureOutcome } from '../../src/engine/outcomes.ts'
import type { Outcome, Queue } from '../../src/queue/contract.ts'
import type { Message } from '../../src/queue/message.ts'
import { createQueue } from '../../src/queue/queue.ts'
import { createInspector, type Inspector, uniqueQueue } from '../support/queues.ts'
import { openTransport } from '../support/transports.ts'

const limits = { maxAttempts: 3, maxInterruptions: 2 }
const policy = { maxAttempts: limits.maxAttempts, backoff: DEFAULT_BACKOFF, onSuccess: 'archive' as const }

/** How runs of a message end, one after the other; the last one for ever. `die` takes the whole process along. */
type Ending = 'ok' | 'fail' | 'die' | 'snooze' | 'release'
const script = fc
  .tuple(
    fc.array(fc.constantFrom<Ending>('ok', 'fail', 'die', 'snooze', 'release'), { maxLength: 5 }),
    fc.constantFrom<Ending>('ok', 'fail', 'die'),
  )
  .map(([first, last]) => [...first, last])

let sql: Sql
let queue: Queue
let look: Inspector
beforeAll(() => {
  sql = postgres(inject('stack').adminUrl, { max: 2, onnotice: () => {} })
  queue = createQueue(openTransport('postgres', inject('stack')))
  look = createInspector(sql)
})
afterAll(async () => {
  await queue?.close()
  await sql?.end()
})

/** On a machine that is busy the search is cut short; fewer runs than this would show nothing. */
const LEAST_RUNS = 10

test('every message ends within its budgets, and only what kills is blamed for it', async () => {
  let runs = 0
  const scripts = fc.array(script, { minLength: 1, maxLength: 4 })
  await fc.assert(
    fc.asyncProperty(
      scripts,
      fc.integer({ min: 1, max: 4 }),
      fc.boolean(),
      async (plans, batch, canIsolate) => {
        const name = uniqueQueue('budget')
        await queue.ensureQueue(name, { notify: false })
        await queue.send(plans.map((_, n) => ({ queue: name, message: { n } })))
        try {
          await workOff(name, plans, batch, canIsolate)
          runs += 1
        } finally {
          await look.drop(name)
        }
      },
    ),
    { numRuns: 60, interruptAfterTimeLimit: 30_000 },
  )
  expect(runs, 'runs').toBeGreaterThanOrEqual(LEAST_RUNS)
})

async function workOff(name: string, plans: readonly Ending[][], batch: number, canIsolate: boolean) {
  const runs = plans.map(() => 0)
  const most = mostDeliveries(plans)
  // Each round delivers at least one message; more rounds than this, and one goes round for ever.
  for (let round = 0; (await look.messages(name)).length > 0; round++) {
    expect(round, 'rounds').toBeLessThanOrEqual(most * plans.length)
    await look.expire(name)
    const { messages } = await queue.read(
      [{ queue: name, limit: batch, visibilityTimeoutSeconds: 600 }],
      64e6,
    )
    for (const message of messages) {
      expect(message.failures).toBeLessThan(limits.maxAttempts)
      expect(message.diedAlone).toBeLessThanOrEqual(limits.maxInterruptions)
      expect(message.delivery).toBeLessThanOrEqual(most)
    }
    for (const message of messages) {
      if (!(await runOne(message, plans, runs, canIsolate))) break // the process died: all else it held is interrupted
    }
  }
  const dead = await look.deadLetters(name)
  expect(dead.length + (await look.archived(name)).length).toBe(plans.length)
  for (const { message } of dead) {
    const { n } = message.message as { n: number }
    const isKiller = plans[n]?.slice(0, runs[n]).includes('die')
    if (canIsolate && message.dead_letter.reason === 'interruptions_exhausted') expect(isKiller).toBe(true)
  }
}

/** False: its process died. */
async function runOne(message: Message, plans: readonly Ending[][], runs: number[], canIsolate: boolean) {
  const verdict = judge(message, limits, canIsolate)
  if (verdict.run === 'never') {
    const { reason, error } = verdict
    return settle(message, { kind: 'dead', reason, error, attempts: message.failures })
  }
  if (verdict.run === 'alone') {
    expect(await queue.isolate({ receipt: message, visibilityTimeoutSeconds: 600 }, 'model')).toBe(true)
  }
  const { n } = message.payload as { n: number }
  const plan = plans[n] ?? []
  const ending = plan[Math.min(runs[n] ?? 0, plan.length - 1)]
  runs[n] = (runs[n] ?? 0) + 1
  if (ending === 'die') return false
  if (ending === 'fail') return settle(message, failureOutcome(new Error('it failed'), message, policy))
  if (ending === 'snooze') return settle(message, { kind: 'snooze', delayMs: 60_000 })
  return settle(message, { kind: ending === 'release' ? 'release' : 'archive' })
}

async function settle(receipt: Message, outcome: Outcome): Promise<boolean> {
  expect(await queue.settle([{ receipt, outcome }], 'model')).toEqual([{ status: 'ok' }])
  return true
}

/** Failures, deaths of its own and of all its company, what was put off, and the delivery that ends it. */
function mostDeliveries(plans: readonly Ending[][]): number {
  const deaths = plans.length * (SUSPECT_INTERRUPTIONS + limits.maxInterruptions + 1)
  const putOffs = Math.max(
    ...plans.map((plan) => plan.filter((one) => one === 'snooze' || one === 'release').length),
  )
  return limits.maxAttempts + deaths + putOffs + 1
}
