/** A server that answers with errors: time limits, locks, no disk, no memory. Two workers, one over each transport. */
import { expect, test } from 'vitest'
import { connectPostgres } from '../../src/library.ts'
import { breakTables } from '../support/broken-tables.ts'
import { faultBench } from '../support/fault-bench.ts'
import {
  each,
  hasLostLeases,
  isGreen,
  isRed,
  messages,
  type Side,
  tellEachOutageOnce,
  UNMOVED,
} from '../support/fault-sides.ts'
import { untilBlockedBy } from '../support/queues.ts'
import { openTransport } from '../support/transports.ts'

const bench = faultBench()

/** A direct connection whose server ends calls after a second, as the API's does here. */
const impatient = (kind: 'rpc' | 'postgres', stack: typeof bench.stack) =>
  kind === 'rpc'
    ? openTransport('rpc', stack)
    : connectPostgres({ url: stack.databaseUrl, requestTimeoutMs: 1200 })

test('statement timeouts, because another session holds the queue: outcomes wait, leases run out, no attempt is charged', async () => {
  const sql = bench.admin()
  await sql`alter role service_role set statement_timeout = '1s'`
  await sql`notify pgrst, 'reload config'`
  try {
    const sides = await bench.pair({ connect: impatient })
    await bench.send(sql, sides, [...messages(1, 4, true), ...messages(5, 40)])
    await each('all but the held have run', sides, ({ runs }) => runs.size === 40)
    await each('their outcomes are recorded', sides, ({ worker }) => worker.health().unsettled === 0)
    await sql.begin(async (locking) => {
      for (const { queue } of sides)
        await locking.unsafe(`lock table pgmq.q_${queue} in access exclusive mode`)
      for (const side of sides) side.open(1, 2)
      const [backend] = await locking`select pg_backend_pid() as pid`
      await untilBlockedBy(sql, backend?.pid)
      await each('it is not ready', sides, isRed)
      for (const { worker, kind } of sides) {
        expect(worker.health().lastError, kind).toMatchObject({
          kind: 'timeout',
          remedy: expect.stringMatching(/holds locks on the queue tables|overloaded/),
        })
        expect(worker.health().unsettled, kind).toBe(2)
      }
      await each('it has lost the leases of what runs', sides, (side) => hasLostLeases(side, 3, 4))
    })
    for (const side of sides) side.open(3, 4)
    await each('it is ready again', sides, isGreen)
    await bench.account(sql, sides, 40, { 3: 2, 4: 2 })
    await tellEachOutageOnce(sides, ['timeout'])
    for (const side of sides) {
      const remedies = side.failures().map(({ remedy }) => remedy)
      expect(remedies.join(), side.kind).toMatch(/holds locks on the queue tables/)
    }
  } finally {
    await sql`alter role service_role reset statement_timeout`
    await sql`notify pgrst, 'reload config'`
  }
})

const HIDDEN = '40001'
/** What a server says when it cannot, as raised by a trigger on what the call writes. */
const ERRORS = [
  ['53100', 'No space left on device', 'exhausted', /Free some of its disk/],
  ['53200', 'out of memory', 'exhausted', /compute size/],
  ['53400', 'configuration limit exceeded', 'exhausted', /limits/],
  ['58030', 'Input/output error', 'unavailable', /its disk fails/],
  ['40P01', 'deadlock detected', 'unavailable', /again/],
  // PostgREST repeats a call by itself after this one, until it is through or the client waits no longer.
  [HIDDEN, 'could not serialize access', 'unavailable', /again/],
  ['55P03', 'lock not available', 'unavailable', /again/],
] as const

const queueTable = ({ queue }: Pick<Side, 'queue'>) => `pgmq.q_${queue}`

test.each(ERRORS)(
  'SQLSTATE %s (%s) when outcomes are recorded: each waits and is recorded once, no attempt is charged',
  async (state, said, kind, remedy) => {
    const sql = bench.admin()
    const sides = await bench.pair({ settings: { toleratedOutageMs: 1000 } })
    await bench.send(sql, sides, messages(1, 10, true))
    await each('all run', sides, ({ runs }) => runs.size === 10)
    const telling = sides.filter((side) => side.kind === 'postgres' || state !== HIDDEN)
    const repair = await breakTables(sql, sides, { table: queueTable, when: 'delete' }, state, said)
    try {
      for (const side of sides) side.open(...messages(1, 10).map(({ n }) => n))
      await each('it is not ready', sides, isRed)
      for (const side of telling) {
        expect(side.worker.health().unsettled, side.kind).toBe(10)
        expect(
          side.failures().find((one) => one.kind === kind),
          side.kind,
        ).toMatchObject({
          transient: true,
          message: expect.stringContaining(said),
          remedy: expect.stringMatching(remedy),
        })
      }
    } finally {
      await repair()
    }
    await each('it is ready again', sides, isGreen)
    await bench.account(sql, sides, 10, {})
    await tellEachOutageOnce(telling, [kind, 'timeout'])
  },
)

test('a queue that cannot be read though the database answers: not ready, with the reason, and ready again after', async () => {
  const sql = bench.admin()
  const sides = await bench.pair()
  const repair = await breakTables(
    sql,
    sides,
    { table: queueTable, when: 'update' },
    '53100',
    'No space left on device',
  )
  try {
    await bench.send(sql, sides, messages(1, 10))
    await each('it is not ready', sides, isRed)
    for (const { worker, kind } of sides)
      expect(worker.health().reason, kind).toMatch(/cannot be read; the log says why/)
  } finally {
    await repair()
  }
  await each('it is ready again', sides, isGreen)
  await bench.account(sql, sides, 10, {})
  for (const { worker, kind } of sides) {
    const told = worker.events.flatMap((event) => (event.name === 'queueState' ? [event.status] : []))
    expect(told, `${kind}: once that it cannot be read, once that it is read again`).toEqual(['error', 'ok'])
  }
})

test('a database made read-only: a direct worker waits and goes on after; PostgREST asks for writable transactions, and gets them', async () => {
  const sql = bench.admin()
  const sides = await bench.pair({
    visibilityTimeoutSeconds: 30,
    settings: { heartbeatSeconds: 1 },
    only: { rpc: UNMOVED },
  })
  const [rpc, direct] = sides
  await bench.send(sql, sides, messages(1, 10, true))
  await each('all run', sides, ({ runs }) => runs.size === 10)
  await sql`alter system set default_transaction_read_only = on`
  await sql`select pg_reload_conf()`
  try {
    await each('it is told by a heartbeat', [direct], (side) => side.lost().length > 0)
    for (const side of sides) side.open(...messages(1, 10).map(({ n }) => n))
    await bench.send(sql, sides, messages(11, 20))
    await each('it is not ready', [direct], isRed)
    const { lastError, unsettled } = direct.worker.health()
    expect(lastError?.message).toMatch(/read-only/)
    expect(lastError?.remedy).toMatch(/disk may be full, or this is a standby/)
    expect([unsettled, direct.runs.size]).toEqual([10, 10])
    await bench.account(sql, [rpc], 20, {})
    expect(rpc.lost()).toEqual([])
  } finally {
    await sql`alter system reset default_transaction_read_only`
    await sql`select pg_reload_conf()`
  }
  await each('it is ready again', sides, isGreen)
  await bench.account(sql, sides, 20, {})
  await tellEachOutageOnce([direct], ['unavailable', 'timeout'])
})
