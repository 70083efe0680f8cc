/** The database of the test kit is no other than the real one: the suites run on it as they are, but for what takes two sessions. */
import { afterAll, beforeAll, inject } from 'vitest'
import { createClock } from '../../src/testing/clock.ts'
import { type MemoryDatabase, startDatabase } from '../../src/testing/database.ts'
import { conformanceOn } from '../support/bench.ts'
import { breakerSuite } from './suites/breakers.ts'
import { deadLetterSuite } from './suites/dead-letters.ts'
import { fenceSuite } from './suites/fences.ts'
import { leaseSuite } from './suites/leases.ts'
import { limitSuite } from './suites/limits.ts'
import { lostAnswerSuite } from './suites/lost-answers.ts'
import { readSuite } from './suites/read.ts'
import { recordSuite } from './suites/records.ts'
import { refusalSuite } from './suites/refusals.ts'
import { sendSuite } from './suites/sends.ts'
import { settleSuite } from './suites/settle.ts'

let database: MemoryDatabase
beforeAll(async () => {
  // The suites wait for real time.
  database = await startDatabase({ ...createClock(new Date()), now: () => new Date() })
})
afterAll(() => database.close())

const stack = () => ({ ...inject('stack'), databaseUrl: database.url, adminUrl: database.url })

const suites = {
  reading: readSuite,
  settling: settleSuite,
  fences: fenceSuite,
  leases: leaseSuite,
  sending: sendSuite,
  'dead letters': deadLetterSuite,
  'lost answers': lostAnswerSuite,
  limits: limitSuite,
  breakers: breakerSuite,
  records: recordSuite,
  refusals: refusalSuite,
}
for (const [title, suite] of Object.entries(suites)) {
  conformanceOn(`${title}, in memory`, stack, suite, ['postgres'], true)
}
