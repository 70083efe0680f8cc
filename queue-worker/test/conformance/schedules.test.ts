/** On a stack of its own: the workers of other tests would send what these schedules ask for. */
import postgres from 'postgres'
import { afterAll, beforeAll, expect } from 'vitest'
import { conformanceOn } from '../support/bench.ts'
import { scheduleStack } from '../support/schedules.ts'
import type { TestStack } from '../support/stack.ts'
import { scheduleSuite } from './suites/schedules.ts'
import { tickSuite } from './suites/ticks.ts'

let started: TestStack | undefined
beforeAll(async () => {
  started = await scheduleStack()
  const sql = postgres(started.databaseUrl, { max: 1 })
  await sql.unsafe(`create role plain_worker login password 'plain' in role queue_worker`)
  await sql.end()
})
afterAll(() => started?.dispose())

function stack(): TestStack {
  return started ?? expect.fail('the stack did not start')
}

/** A login that has nothing but the role queue_worker. */
function asLogin() {
  const { databaseUrl, ...rest } = stack()
  const url = new URL(databaseUrl)
  Object.assign(url, { username: 'plain_worker', password: 'plain' })
  return { ...rest, databaseUrl: url.href }
}

conformanceOn('schedules', stack, scheduleSuite)
conformanceOn('schedules with least privilege', asLogin, scheduleSuite, ['postgres'])
conformanceOn('ticks with least privilege', asLogin, tickSuite, ['postgres'])
conformanceOn('ticks', stack, tickSuite)
