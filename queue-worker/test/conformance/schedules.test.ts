/** On a stack of its own: the workers of other tests would send what these schedules ask for. */
import { afterAll, beforeAll, expect } from 'vitest'
import { conformanceOn } from '../support/bench.ts'
import { scheduleStack } from '../support/schedules.ts'
import type { TestStack } from '../support/stack.ts'
import { scheduleSuite } from './suites/schedules.ts'
import { tickSuite } from './suites/ticks.ts'

let started: TestStack | undefined
beforeAll(async () => {
  started = await scheduleStack()
})
afterAll(() => started?.dispose())

function stack(): TestStack {
  return started ?? expect.fail('the stack did not start')
}

conformanceOn('schedules', stack, scheduleSuite)
conformanceOn('ticks', stack, tickSuite)
