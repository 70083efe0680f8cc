/** Connections that are ended by the server, and those it does not give: two workers, one over each transport. */
import postgres from 'postgres'
import { expect, test } from 'vitest'
import { faultBench } from '../support/fault-bench.ts'
import {
  each,
  isGreen,
  isRed,
  messages,
  type Side,
  settledCount,
  tellEachOutageOnce,
} from '../support/fault-sides.ts'
import { until } from '../support/worker.ts'

const bench = faultBench()

/** Ends every connection of workers and of PostgREST. Answers how many there were. */
async function cutAll(sql: postgres.Sql, but: readonly number[] = []): Promise<number> {
  const ended = await sql`select pg_terminate_backend(pid) from pg_stat_activity
    where pid <> pg_backend_pid() and backend_type = 'client backend'
      and usename in ('postgres', 'authenticator') and pid <> all (${[...but]}::int[])`
  return ended.length
}

test('connections cut again and again: nothing is lost or done twice, and it listens again', async () => {
  const sql = bench.admin()
  const sides = await bench.pair({ only: { postgres: { pollIntervalMs: 120_000 } } })
  const rounds = 8
  const perRound = 60
  let cuts = 0
  for (let round = 0; round < rounds; round++) {
    const sent = round * perRound
    await bench.send(sql, sides, messages(sent + 1, sent + perRound))
    // In the middle of its work, which begins with connecting again; what the cut before left behind comes later.
    await each('it is at work', sides, ({ runs }) => [...runs.keys()].some((n) => n > sent))
    cuts += await cutAll(sql)
  }
  expect(cuts).toBeGreaterThan(2 * rounds)
  const count = rounds * perRound
  await bench.account(sql, sides, count, {})
  await tellEachOutageOnce(sides, ['unavailable', 'disconnected', 'timeout'])
  const [, direct] = sides
  await each('it listens again', [direct], ({ worker }) => worker.health().wake === 'notify')
  // It would not poll for minutes: what is worked on now was notified of.
  await bench.send(sql, [direct], messages(count + 1, count + 1))
  await each('it was notified', [direct], (side) => settledCount(side) === count + 1)
})

/** Takes every connection the server still gives, until it gives none; `release` gives them back. */
async function takeAll(url: string) {
  const taken: postgres.Sql[] = []
  const pids: number[] = []
  let refused = 0
  /** Fills up what became free. */
  async function fill(): Promise<void> {
    refused = 0
    while (refused === 0) {
      await Promise.all(
        Array.from({ length: 8 }, async () => {
          const sql = postgres(url, {
            max: 1,
            onnotice: () => {},
            connection: { application_name: 'others' },
          })
          try {
            const [row] = await sql`select pg_backend_pid() as pid`
            taken.push(sql)
            pids.push(row?.pid)
          } catch (error) {
            await sql.end({ timeout: 0 })
            if ((error as { code?: unknown }).code !== '53300') throw error
            refused += 1
          }
        }),
      )
    }
  }
  await fill()
  return {
    fill,
    /** Takes those of workers and PostgREST too, which would have them back. */
    takeFrom: (sql: postgres.Sql) =>
      until('all connections are taken', async () => {
        const cut = await cutAll(sql, pids)
        await fill()
        return cut === 0
      }),
    release: () => Promise.all(taken.splice(0).map((sql) => sql.end({ timeout: 1 }))),
  }
}

const REMEDY = /raise max_connections, the connection limit of the role or database/

/** PostgREST does not always pass on why it gets no connection, and then says only that it has none. */
async function nameWhatToDo(sides: readonly Side[], said: RegExp): Promise<void> {
  await each('it says what to do', sides, (side) =>
    side
      .failures()
      .some(({ kind, message, remedy }) =>
        kind === 'exhausted'
          ? said.test(message) && REMEDY.test(remedy)
          : side.kind === 'rpc' && /no connection because too many are open/.test(remedy),
      ),
  )
  for (const side of sides) expect(side.failures().every(({ transient }) => transient)).toBe(true)
}

test('too many connections: workers wait for one, keep those they have, and say what to do', async () => {
  const sql = bench.admin()
  await sql`select 1`
  const others = await takeAll(bench.stack.databaseUrl)
  try {
    await others.takeFrom(sql)
    // Before they start.
    const sides = await bench.pair({ starting: true })
    await each('it is told', sides, ({ lost }) => lost().length > 0)
    await each('it has not started', sides, ({ worker }) => worker.health().state === 'starting')
    await nameWhatToDo(sides, /too many clients|remaining connection slots/)
    await others.release()
    await tellEachOutageOnce(sides)

    // While they run: with the connections it has, a worker goes on.
    await bench.send(sql, sides, messages(1, 100))
    await bench.account(sql, sides, 100, {})
    const [, direct] = sides
    await others.fill()
    await bench.send(sql, sides, messages(101, 200))
    await bench.account(sql, [direct], 200, {})
    await each('it is ready all the same', [direct], isGreen)
    // So does PostgREST, unless it wants one more just then: refused that, it gives up those it has.
    await others.release()
    await bench.account(sql, sides, 200, {})
    await each('it is ready', sides, isGreen)

    // Once those are gone they get no others.
    await bench.send(sql, sides, messages(201, 202, true))
    await each('both hold', sides, ({ runs }) => runs.size === 202)
    await others.takeFrom(sql)
    for (const side of sides) side.open(201, 202)
    await each('it is not ready, and says why', sides, ({ worker }) =>
      /has not answered for/.test(worker.health().reason ?? ''),
    )
    await nameWhatToDo(sides, /too many clients|remaining connection slots/)
    await others.release()
    await each('it is ready again', sides, isGreen)
    await bench.account(sql, sides, 202, {})
  } finally {
    await others.release()
  }
})

test("a role's connection limit: the same, and it is the role's limit that is told", async () => {
  const sql = bench.admin()
  const sides = await bench.pair()
  await sql`alter role postgres connection limit 0`
  await sql`alter role authenticator connection limit 0`
  try {
    await cutAll(sql)
    await bench.send(sql, sides, messages(1, 100))
    await each('it is not ready', sides, isRed)
    await nameWhatToDo(sides, /too many connections for role/)
  } finally {
    await sql`alter role postgres connection limit -1`
    await sql`alter role authenticator connection limit -1`
  }
  await each('it is ready again', sides, isGreen)
  await bench.account(sql, sides, 100, {})
  await tellEachOutageOnce(sides)
})
