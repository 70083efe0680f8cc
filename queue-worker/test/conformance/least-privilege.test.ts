/** A login that has nothing but the role queue_worker does all of a worker's work over a direct connection. */
import { randomBytes } from 'node:crypto'
import postgres from 'postgres'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { createQueue } from '../../src/queue/queue.ts'
import { conformanceOn } from '../support/bench.ts'
import { openTransport } from '../support/transports.ts'
import { deadLetterSuite } from './suites/dead-letters.ts'
import { leaseSuite } from './suites/leases.ts'
import { operatorSuite } from './suites/operator.ts'
import { reportSuite } from './suites/reports.ts'
import { sendSuite } from './suites/sends.ts'
import { settleSuite } from './suites/settle.ts'

const login = `worker_${randomBytes(6).toString('hex')}`
const password = randomBytes(12).toString('hex')
const asOwner = () => postgres(inject('stack').databaseUrl, { max: 1, onnotice: () => {} })

beforeAll(async () => {
  const sql = asOwner()
  await sql.unsafe(`create role ${login} login password '${password}' in role queue_worker`)
  await sql.end()
})
afterAll(async () => {
  const sql = asOwner()
  await sql.unsafe(`drop role ${login}`)
  await sql.end()
})

function stack() {
  const { databaseUrl, ...rest } = inject('stack')
  const url = new URL(databaseUrl)
  url.username = login
  url.password = password
  return { ...rest, databaseUrl: url.href }
}

test('it is who it says and reaches no table', async () => {
  const queue = createQueue(openTransport('postgres', stack()))
  expect(await queue.status()).toMatchObject({ role: login })
  await queue.close()
  const sql = postgres(stack().databaseUrl, { max: 1 })
  await expect(sql`select * from queue_worker.ledger`).rejects.toMatchObject({ code: '42501' })
  await expect(sql`select * from pgmq.meta`).rejects.toMatchObject({ code: '42501' })
  await expect(sql`select queue_worker.settle('[]', 'x')`).rejects.toMatchObject({ code: '42501' })
  await sql.end()
})

for (const [title, suite] of Object.entries({
  leases: leaseSuite,
  settling: settleSuite,
  sending: sendSuite,
  'dead letters': deadLetterSuite,
  'what an operator asks': operatorSuite,
  reports: reportSuite,
})) {
  conformanceOn(`${title} with least privilege`, stack, suite, ['postgres'])
}
