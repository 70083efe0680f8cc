/** No room on the disk for what is written beside the queues. Two workers, one over each transport. */
import { expect, type onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { defineProcessor, type ProcessorContext, type Transport } from '../../src/library.ts'
import { breakTables } from '../support/broken-tables.ts'
import { faultBench } from '../support/fault-bench.ts'
import {
  each,
  isGreen,
  isRed,
  messages,
  settledCount,
  tellEachOutageOnce,
  UNMOVED,
} from '../support/fault-sides.ts'
import { createInspector, uniqueQueue } from '../support/queues.ts'
import { openTransport } from '../support/transports.ts'
import { testWorker, until } from '../support/worker.ts'

const bench = faultBench()
const NO_SPACE = ['53100', 'No space left on device'] as const

test('a full disk when failures are recorded: they wait, and each is charged once', async () => {
  const sql = bench.admin()
  const sides = await bench.pair()
  await bench.send(sql, sides, messages(1, 10, true))
  await each('all run', sides, ({ runs }) => runs.size === 10)
  const repair = await breakTables(
    sql,
    sides,
    { table: () => 'queue_worker.outcomes', when: 'insert' },
    ...NO_SPACE,
  )
  try {
    for (const side of sides) side.fail(1, 2)
    await each('it is not ready', sides, isRed)
    for (const { worker, kind } of sides) expect(worker.health().unsettled, kind).toBe(2)
  } finally {
    await repair()
  }
  await each('it is ready again', sides, isGreen)
  for (const side of sides) side.open(...messages(1, 10).map(({ n }) => n))
  const look = createInspector(sql)
  await each('all have ended', sides, (side) => settledCount(side) === 12)
  for (const { kind, queue, runs, attempts } of sides) {
    expect((await look.archived(queue)).length, kind).toBe(10)
    expect(
      (await look.outcomes(queue)).map(({ outcome }) => outcome),
      kind,
    ).toEqual(['retry', 'retry'])
    expect([...attempts], kind).toEqual([1, 2])
    expect([runs.get(1), runs.get(2), runs.get(3)], kind).toEqual([2, 2, 1])
  }
  await tellEachOutageOnce(sides, ['exhausted', 'timeout'])
})

type Options = { readonly finished: typeof onTestFinished; readonly usesTransaction?: boolean }

/** A worker over this transport that does this with each message of a queue of its own, and what it was refused. */
async function workerThat(
  kind: Transport['kind'],
  process: (n: number, context: ProcessorContext) => Promise<unknown>,
  { finished, usesTransaction = false }: Options,
) {
  const queue = uniqueQueue('f')
  const transport = openTransport(kind, bench.stack)
  const refused: string[] = []
  const connection: Transport = {
    ...transport,
    call: (entryPoint, request) =>
      transport.call(entryPoint, request).catch((error) => {
        refused.push(entryPoint)
        throw error
      }),
  }
  const processor = defineProcessor({
    queue,
    payload: z.object({ n: z.number() }),
    usesTransaction,
    process: async ({ n }, context) => void (await process(n, context)),
  })
  const worker = testWorker(kind, [processor], {
    connection,
    settings: UNMOVED,
    queue: { backoff: { baseSeconds: 2, maxSeconds: 2 } },
  })
  finished(() => worker.stop('the test is over', { hurry: true }))
  await worker.start()
  return { kind, queue, worker, refused }
}

test('a full disk when steps of context.once are recorded: they wait, each effect happens once, no attempt is charged', async ({
  onTestFinished: finished,
}) => {
  const sql = bench.admin()
  const look = createInspector(sql)
  const gate = Promise.withResolvers<void>()
  const sides = await Promise.all(
    (['rpc', 'postgres'] as const).map(async (kind) => {
      const effects: number[] = []
      const runs: number[] = []
      const process = async (n: number, { once }: ProcessorContext) => {
        runs.push(n)
        await once('effect', async () => {
          effects.push(n)
          if (n === 1) await gate.promise
        })
      }
      return { ...(await workerThat(kind, process, { finished })), effects, runs }
    }),
  )
  const send = async (n: number) => {
    for (const { queue } of sides) await sql`select pgmq.send(${queue}::text, ${sql.json({ n })}::jsonb)`
  }
  await send(1)
  await until('the first steps have begun', () => sides.every(({ effects }) => effects.length === 1))
  const repair = await breakTables(
    sql,
    sides,
    { table: () => 'queue_worker.ledger', when: 'insert' },
    ...NO_SPACE,
  )
  try {
    // The end of this one cannot be recorded, nor the beginning of the next.
    gate.resolve()
    await send(2)
    for (const call of ['ledger_start', 'ledger_finish'])
      await until(`${call} is refused`, () => sides.every(({ refused }) => refused.includes(call)))
    for (const { effects, worker, kind } of sides) {
      expect(effects, kind).toEqual([1])
      expect(worker.health().ready, kind).toBe(true)
    }
  } finally {
    await repair()
  }
  for (const { queue, kind, effects, runs } of sides) {
    await until(`both are archived over ${kind}`, async () => (await look.archived(queue)).length === 2)
    expect(effects, kind).toEqual([1, 2])
    expect(runs, kind).toEqual([1, 2])
    expect(await look.outcomes(queue), kind).toEqual([])
  }
})

test('a full disk in the writes of context.transaction: all of it is rolled back, and it is a failure of the message', async ({
  onTestFinished: finished,
}) => {
  const sql = bench.admin()
  const look = createInspector(sql)
  await sql`create table public.effects (n int)`
  await sql`grant all on public.effects to postgres`
  const attempts: number[] = []
  const write = async (n: number, { transaction, attempt }: ProcessorContext) => {
    attempts.push(attempt)
    await transaction((tx) => tx`insert into public.effects values (${n})`)
  }
  const side = await workerThat('postgres', write, { finished, usesTransaction: true })
  const repair = await breakTables(
    sql,
    [side],
    { table: () => 'public.effects', when: 'insert' },
    ...NO_SPACE,
  )
  const failed = async () => (await look.outcomes(side.queue)).length > 0
  try {
    await sql`select pgmq.send(${side.queue}::text, '{"n": 1}'::jsonb)`
    await until('the failure is recorded', failed)
  } finally {
    await repair()
  }
  await until('it is archived', async () => (await look.archived(side.queue)).length === 1)
  const outcomes = await look.outcomes(side.queue)
  // One failure; more where the repair took longer than the backoff.
  expect(outcomes.length).toBe(attempts.length - 1)
  for (const { outcome, error } of outcomes) {
    expect(outcome).toBe('retry')
    expect(error).toMatch(/No space left on device/)
  }
  expect(attempts.every((attempt, index) => attempt === index + 1)).toBe(true)
  expect(await sql`select n from public.effects`).toEqual([{ n: 1 }])
})
