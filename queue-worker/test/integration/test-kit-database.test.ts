/** The database of the test kit and the way into it: many connections over one session. */
import { connect } from 'node:net'
import postgres, { type Sql } from 'postgres'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createClock } from '../../src/testing/clock.ts'
import { type MemoryDatabase, startDatabase } from '../../src/testing/database.ts'
import type { Saved } from '../../src/testing/saved.ts'

const clock = createClock(new Date('2030-01-01T00:00:00Z'))
const saved: Blob[] = []
const nonsense: Saved = {
  load: async () => new Blob(['this is no database']),
  save: async (data) => void saved.push(data),
}

let database: MemoryDatabase
let sql: Sql
let other: Sql
beforeAll(async () => {
  database = await startDatabase(clock, async () => nonsense)
  sql = postgres(database.url, { max: 1, onnotice: () => {} })
  other = postgres(database.url, { max: 1, onnotice: () => {} })
  await sql`create table things (n int, at timestamptz default now())`
})
afterAll(async () => {
  await Promise.all([sql.end(), other.end()])
  await database.close()
})

test('a saved database that cannot be loaded is made and saved anew', async () => {
  expect(saved.map(({ size }) => size > 1_000_000)).toEqual([true])
  expect(await sql`select public.queue_worker_status('{"protocol": 2}') ->> 'protocol' as protocol`).toEqual([
    { protocol: '2' },
  ])
})

test('SQL is told the time of the clock, from its next transaction on', async () => {
  const asked = () => sql`select now(), clock_timestamp() as clock, statement_timestamp() as statement`
  await sql`insert into things values (0)`
  clock.advance('1.5h')
  await sql`insert into things values (1)`
  const later = new Date('2030-01-01T01:30:00Z')
  expect(await asked()).toEqual([{ now: later, clock: later, statement: later }])
  expect((await sql`delete from things returning at`).map(({ at }) => at.toISOString())).toEqual([
    '2030-01-01T00:00:00.000Z',
    '2030-01-01T01:30:00.000Z',
  ])
})

test('a transaction is one turn: others wait, and see what it has committed', async () => {
  let waiting: Promise<unknown> = Promise.resolve()
  await sql.begin(async (tx) => {
    await tx`insert into things values (1)`
    waiting = other`select n from things`.then((rows) => [...rows])
    await tx`update things set n = 2`
  })
  expect(await waiting).toEqual([{ n: 2 }])
  await expect(sql`select 1 / ${0}::int`).rejects.toThrow('division by zero')
  await expect(sql.begin((tx) => tx`insert into nowhere values (${1})`)).rejects.toThrow('does not exist')
  expect(await other`delete from things returning n`).toEqual([{ n: 2 }])
})

test('who goes in the middle of a transaction, or of a message, holds up nobody', async () => {
  const gone = postgres(database.url, { max: 1, onnotice: () => {} })
  await gone
    .begin(async (tx) => {
      await tx`insert into things values (3)`
      await gone.end({ timeout: 0 })
    })
    .catch(() => {})
  const port = Number(new URL(database.url).port)
  const half = connect(port, '127.0.0.1')
  half.end(Buffer.from([0, 0, 0, 8, 0]))
  expect(await other`select from things`).toHaveLength(0)
})

test('a client that would like encryption goes on without', async () => {
  const preferring = postgres(database.url.replace('sslmode=disable', 'sslmode=prefer'), { max: 1 })
  expect(await preferring`select 1 as n`).toEqual([{ n: 1 }])
  await preferring.end()
})
