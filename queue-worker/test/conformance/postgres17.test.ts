/** The same behaviour on PostgreSQL 17 with pgmq installed by running its script, as where there is no extension. */
import postgres from 'postgres'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { conformanceOn } from '../support/bench.ts'
import { migratedStack, type TestStack } from '../support/stack.ts'
import { actionsSuite } from './suites/actions.ts'
import { deadLetterSuite } from './suites/dead-letters.ts'
import { fenceSuite } from './suites/fences.ts'
import { glanceSuite } from './suites/glance.ts'
import { leaseSuite } from './suites/leases.ts'
import { lostAnswerSuite } from './suites/lost-answers.ts'
import { operatorSuite } from './suites/operator.ts'
import { pagesSuite } from './suites/pages.ts'
import { readSuite } from './suites/read.ts'
import { recordSuite } from './suites/records.ts'
import { refusalSuite } from './suites/refusals.ts'
import { reportSuite } from './suites/reports.ts'
import { scheduleSuite } from './suites/schedules.ts'
import { sendSuite } from './suites/sends.ts'
import { settleSuite } from './suites/settle.ts'
import { tickSuite } from './suites/ticks.ts'
import { undoSuite } from './suites/undo.ts'

let started: TestStack | undefined
beforeAll(async () => {
  started = await migratedStack({ postgresMajor: 17 })
})
afterAll(() => started?.dispose())

function stack(): TestStack {
  return started ?? expect.fail('the stack did not start')
}

test('this is PostgreSQL 17 and pgmq is no extension', async () => {
  const sql = postgres(stack().databaseUrl, { max: 1 })
  const [found] = await sql`select current_setting('server_version_num')::int / 10000 as major,
    exists (select from pg_extension where extname = 'pgmq') as extension`
  await sql.end()
  expect(found).toEqual({ major: 17, extension: false })
})

for (const [title, suite] of Object.entries({
  reading: readSuite,
  settling: settleSuite,
  refusals: refusalSuite,
  fences: fenceSuite,
  leases: leaseSuite,
  sending: sendSuite,
  'dead letters': deadLetterSuite,
  'every answer lost once': lostAnswerSuite,
  records: recordSuite,
  'what an operator asks': operatorSuite,
  'what a dashboard shows': glanceSuite,
  'pages of messages': pagesSuite,
  'what a person does': actionsSuite,
  'what a person takes back': undoSuite,
  reports: reportSuite,
  schedules: scheduleSuite,
  ticks: tickSuite,
})) {
  conformanceOn(`${title} on PostgreSQL 17`, stack, suite)
}
