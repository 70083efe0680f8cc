/**
 * Two workers, one over each transport, each with a queue of its own on one stack, to be struck by the same fault at
 * the same time; and the account of what became of every message.
 */
import postgres from 'postgres'
import { afterAll, afterEach, beforeAll, expect } from 'vitest'
import { applyMigrations, listMigrations } from '../../src/services/migrations.ts'
import { createSide, type Message, messages, type Side, type SideOptions } from './fault-sides.ts'
import { type Parts, partsOf } from './parts.ts'
import { lastingPort } from './ports.ts'
import { createInspector } from './queues.ts'
import { anyPorts, type TestStack, testStack } from './stack.ts'
import { openTransport } from './transports.ts'
import { until } from './worker.ts'

export type PairOptions = SideOptions & {
  /** Does not wait until they have started: they may be unable to. */
  readonly starting?: boolean
}

export type FaultBench = ReturnType<typeof faultBench>

export function faultBench() {
  let stack: TestStack
  let parts: Parts
  const ends: (() => Promise<void>)[] = []
  let sides: Side[] = []
  const connections: postgres.Sql[] = []

  /** A fresh connection as superuser: those of before a fault may be gone. Closed after the test. */
  function admin(): postgres.Sql {
    const sql = postgres(stack.adminUrl, {
      max: 2,
      onnotice: () => {},
      connection: { options: '-c default_transaction_read_only=off' },
    })
    connections.push(sql)
    return sql
  }

  beforeAll(async () => {
    stack = await testStack({ ports: { ...anyPorts, postgres: await lastingPort() } })
    ends.push(stack.dispose)
    parts = partsOf(stack)
    ends.push(parts.stop)
    const sql = postgres(stack.databaseUrl, { max: 1, onnotice: () => {} })
    await applyMigrations(sql, await listMigrations())
    await sql.end()
    const rpc = openTransport('rpc', stack)
    await until('the REST interface knows the functions', () =>
      rpc.call('status', { protocol: 1 }).then(
        () => true,
        () => false,
      ),
    )
    await rpc.close()
  })
  afterEach(async () => {
    // A test that failed half-way must not take those after it along.
    await parts.restore()
    await Promise.all(sides.map(({ worker }) => worker.stop('the test is over', { hurry: true })))
    const look = createInspector(admin())
    for (const { queue } of sides) await look.drop(queue)
    sides = []
    await Promise.all(connections.splice(0).map((sql) => sql.end({ timeout: 1 })))
  })
  afterAll(async () => {
    for (const end of ends.reverse()) await end()
  })

  return {
    get stack() {
      return stack
    },
    get parts() {
      return parts
    },
    admin,
    /** Starts the two workers. */
    async pair(options: PairOptions = {}): Promise<[rpc: Side, direct: Side]> {
      const [rpc, direct] = [createSide('rpc', options, stack), createSide('postgres', options, stack)]
      sides.push(rpc, direct)
      const started = Promise.all([rpc, direct].map(({ worker }) => worker.start()))
      started.catch(() => {})
      if (!options.starting) await started
      return [rpc, direct]
    },
    /** Puts the same messages into both queues. */
    async send(sql: postgres.Sql, to: readonly Side[], all: readonly Message[]): Promise<void> {
      for (const { queue } of to) {
        await sql`select pgmq.send_batch(${queue}::text, (select array_agg(m) from jsonb_array_elements(${sql.json(all as never)}::jsonb) m))`
      }
    },
    /**
     * Waits until all is archived, then holds that each of `count` messages is so exactly once, that nothing was charged
     * an attempt, and that each ran once, but for those given here.
     */
    async account(
      sql: postgres.Sql,
      of: readonly Side[],
      count: number,
      ran: Readonly<Record<number, number>>,
    ) {
      const look = createInspector(sql)
      const numbers = messages(1, count).map(({ n }) => n)
      for (const { kind, queue, runs, attempts, worker } of of) {
        await until(`all of ${kind} are archived`, async () => (await look.messages(queue)).length === 0)
        const archived = (await look.archived(queue)).map(({ message }) => (message as Message).n)
        expect(
          archived.toSorted((a, b) => a - b),
          kind,
        ).toEqual(numbers)
        expect(await look.deadLetters(queue), kind).toEqual([])
        expect(await look.outcomes(queue), kind).toEqual([])
        expect([...attempts], kind).toEqual([1])
        expect(Object.fromEntries(runs), kind).toEqual(
          Object.fromEntries(numbers.map((n) => [n, ran[n] ?? 1])),
        )
        await until(`${kind} has settled all`, () => worker.health().unsettled === 0)
      }
    },
  }
}
