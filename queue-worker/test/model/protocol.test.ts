/**
 * The SQL protocol against the model of it, in random interleavings. A failure prints its seed; to search from there:
 * MODEL_SEED=… npx vitest run queue-worker/test/model/protocol.test.ts (and MODEL_RUNS=… for a longer search).
 */
import fc from 'fast-check'
import postgres, { type Sql } from 'postgres'
import { afterAll, beforeAll, describe, expect, inject, test, vi } from 'vitest'
import type { Queue } from '../../src/queue/contract.ts'
import { createQueue } from '../../src/queue/queue.ts'
import { applyMigrations, listMigrations } from '../../src/services/migrations.ts'
import { connectPostgres } from '../../src/services/postgres.ts'
import { createDatabase, type TestDatabase } from '../support/databases.ts'
import { openTransport } from '../support/transports.ts'
import { mutations, withMutation } from './mutations.ts'
import { type Sought, search } from './search.ts'

const { MODEL_SEED, MODEL_RUNS } = process.env
const isFree = MODEL_SEED === undefined && MODEL_RUNS === undefined
const seed = MODEL_SEED === undefined ? {} : { seed: Number(MODEL_SEED) }

const plans = [
  { kind: 'postgres', runs: Number(MODEL_RUNS ?? 250), limitMs: isFree ? 35_000 : 3_600_000 },
  { kind: 'rpc', runs: Math.ceil(Number(MODEL_RUNS ?? 250) / 10), limitMs: isFree ? 15_000 : 3_600_000 },
] as const

describe.each(plans)('the protocol over $kind', ({ kind, runs, limitMs }) => {
  let queue: Queue
  let sql: Sql
  beforeAll(async () => {
    sql = postgres(inject('stack').adminUrl, { max: 2, onnotice: () => {} })
    queue = createQueue(openTransport(kind, inject('stack')))
    await vi.waitUntil(() => queue.status().catch(() => null), { timeout: 60_000 })
  })
  afterAll(async () => {
    await queue?.close()
    await sql?.end()
  })

  test('whatever workers do, tables and answers are those of the model', {
    timeout: limitMs * 4,
  }, async () => {
    const sought: Sought = { runs, limitMs, ...seed, isShrunk: true }
    const { details, seen } = await search(queue, sql, sought)
    if (details.failed) {
      throw new Error(await fc.asyncDefaultReportMessage(details), { cause: details.errorInstance })
    }
    expect(details.numRuns, 'a machine this slow has checked nothing').toBeGreaterThan(0)
    // With all its runs a search meets every answer that there is; with fewer it would prove less than it says.
    if (isFree && details.numRuns === runs && kind === 'postgres') {
      expect([...seen.keys()].toSorted()).toEqual(answers.toSorted())
    }
  })
})

describe('with a mistake built into the SQL', () => {
  let database: TestDatabase
  let queue: Queue
  beforeAll(async () => {
    database = await createDatabase(inject('stack'))
    await applyMigrations(database.sql, await listMigrations())
    queue = createQueue(connectPostgres({ url: database.url }))
  })
  afterAll(async () => {
    await queue?.close()
    await database?.dispose()
  })

  test.each(mutations)('the search notices that $name', { timeout: 120_000 }, async (mutation) => {
    const sought: Sought = { runs: 1000, limitMs: 60_000, isShrunk: false }
    const { details } = await withMutation(database.admin, mutation, () =>
      search(queue, database.admin, sought),
    )
    expect(details.failed && !details.interrupted).toBe(true)
  })
})

const answers = [
  ...['archive', 'delete', 'retry', 'snooze', 'release', 'dead'].flatMap((kind) => [
    `${kind}: ok`,
    `${kind}: lost`,
    kind === 'delete' ? 'delete: gone' : `${kind}: already`,
  ]),
  ...[
    'archive: rejected',
    'delete: rejected',
    'extend: true',
    'extend: false',
    'isolate: true',
    'isolate: false',
  ],
]
