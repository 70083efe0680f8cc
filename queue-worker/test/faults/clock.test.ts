/** Workers whose clock is an hour off, or jumps: all times that matter are the database's or monotonic. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, inject, type onTestFinished, test } from 'vitest'
import { OutageError } from '../../src/errors.ts'
import { type Cleanups, processorFor } from '../support/email-processor.ts'
import { engineBench } from '../support/engine-bench.ts'
import { startRawSmtp } from '../support/smtp.ts'
import { openTransport } from '../support/transports.ts'
import { until } from '../support/worker.ts'

const HOUR_MS = 3_600_000
const preload = new URL('clock-shift.ts', import.meta.url).href
const program = fileURLToPath(new URL('clock-worker.ts', import.meta.url))

/** What the processor does with a message, how often it runs, and when it can be done at the earliest. */
const MESSAGES: readonly { how: string; runs: number; leastSeconds: number }[] = [
  { how: 'does it at once', runs: 1, leastSeconds: 0 },
  { how: 'snoozes', runs: 2, leastSeconds: 1 },
  { how: 'asks to be retried', runs: 2, leastSeconds: 1 },
  { how: 'fails', runs: 2, leastSeconds: 0 },
  { how: 'outlives its visibility timeout', runs: 1, leastSeconds: 6.9 },
  { how: 'has an effect', runs: 1, leastSeconds: 0 },
  { how: 'sends with a delay', runs: 1, leastSeconds: 0 },
  { how: 'sends for a time', runs: 1, leastSeconds: 0 },
]
/** Sent hidden for two seconds by the test; sent by the processor for a second later and for a time. */
const LATER = [
  { n: 50, runs: 1, leastSeconds: 2 },
  { n: 106, runs: 1, leastSeconds: 1 },
  { n: 107, runs: 1, leastSeconds: 0 },
]
const EXPECTED = [...MESSAGES.map(({ runs, leastSeconds }, n) => ({ n, runs, leastSeconds })), ...LATER]

type Line = {
  readonly queue?: string
  readonly run?: number
  readonly effect?: number
  readonly started?: string
  readonly ranMs?: number
  readonly waitedMs?: number
  /** Leases lost, messages returned, connections lost: there should be none. */
  readonly trouble?: string
}

const benches = { rpc: engineBench('rpc'), postgres: engineBench('postgres') } as const

describe.concurrent('a worker whose clock', () => {
  test.for([
    ['is an hour ahead', HOUR_MS, ''],
    ['is an hour behind', -HOUR_MS, ''],
    ['jumps by an hour to and fro', HOUR_MS, 'yes'],
  ] as const)('%s does everything once and in its time', async ([, offMs, jumps], { onTestFinished }) => {
    const queues = { rpc: await benches.rpc.newQueue(), postgres: await benches.postgres.newQueue() }
    const worker = startProcess(queues, { CLOCK_OFF_MS: String(offMs), CLOCK_JUMPS: jumps }, onTestFinished)
    await until('it works', () => worker.lines.some(({ started }) => started !== undefined))
    const shownMs = Date.parse(worker.lines.find(({ started }) => started)?.started ?? '') - Date.now()
    if (jumps === '') expect(Math.round(shownMs / HOUR_MS)).toBe(offMs / HOUR_MS)
    for (const kind of ['rpc', 'postgres'] as const) {
      const [bench, queue] = [benches[kind], queues[kind]]
      await bench.send(
        queue,
        MESSAGES.map(({ how }, n) => ({ n, how })),
      )
      await bench.sql`select pgmq.send(${queue}::text, '{"n": 50, "how": "was hidden"}'::jsonb, 2)`
    }
    for (const kind of ['rpc', 'postgres'] as const) {
      const [bench, queue] = [benches[kind], queues[kind]]
      const archived = async () => (await bench.archived(queue)) === EXPECTED.length
      await until(`all are archived over ${kind}`, archived, 60_000)
      const own = worker.lines.filter((line) => line.queue === queue)
      await hasEverythingOnce(kind, queue, own)
      await isInTime(kind, queue, own)
    }
    expect(worker.lines.flatMap(({ trouble }) => trouble ?? [])).toEqual([])
    expect(await worker.stop(), worker.errors.join('')).toBe(0)
  })
})

async function hasEverythingOnce(kind: keyof typeof benches, queue: string, lines: readonly Line[]) {
  const { sql, look } = benches[kind]
  const rows = await sql`
    select (message ->> 'n')::int as n, read_ct as runs from ${sql(`pgmq.a_${queue}`)} order by 1`
  expect(rows.map(({ n, runs }) => ({ n, runs }))).toEqual(EXPECTED.map(({ n, runs }) => ({ n, runs })))
  for (const { n, runs } of EXPECTED) expect(lines.filter(({ run }) => run === n)).toHaveLength(runs)
  expect(lines.filter(({ effect }) => effect !== undefined)).toHaveLength(1)
  expect(await look.messages(queue)).toHaveLength(0)
  expect(await look.deadLetters(queue)).toHaveLength(0)
}

/** Not before they were due and, on the slowest machine, long before an hour is over; the same in what is recorded. */
async function isInTime(kind: keyof typeof benches, queue: string, lines: readonly Line[]) {
  const { sql } = benches[kind]
  const took = await sql`
    select (message ->> 'n')::int as n, extract(epoch from archived_at - enqueued_at)::float as seconds
    from ${sql(`pgmq.a_${queue}`)} order by 1`
  for (const [index, { n, leastSeconds }] of EXPECTED.entries()) {
    expect(took[index]?.seconds, `message ${n}`).toBeGreaterThanOrEqual(leastSeconds)
    expect(took[index]?.seconds, `message ${n}`).toBeLessThan(120)
  }
  const told = lines.flatMap(({ ranMs, waitedMs }) => [ranMs ?? 0, waitedMs ?? 0])
  const stats = await sql`select * from queue_worker.stats where queue = ${queue}`
  expect(stats.reduce((total, row) => total + Number(row.archived), 0)).toBe(EXPECTED.length)
  const stored = stats.flatMap((row) => [row.ran_ms, row.waited_ms, row.ran_ms_max, row.waited_ms_max])
  expect(Math.min(...told, ...stored)).toBeGreaterThanOrEqual(0)
  expect(Math.max(...told, ...stats.flatMap((row) => [row.ran_ms_max, row.waited_ms_max]))).toBeLessThan(
    120_000,
  )
  for (const row of stats) expect(Math.abs(row.minute.getTime() - Date.now())).toBeLessThan(HOUR_MS / 2)
}

/** Two workers, one over each transport, in a process with this clock. */
function startProcess(
  queues: Record<'rpc' | 'postgres', string>,
  clock: object,
  finished: typeof onTestFinished,
) {
  const orders = (['rpc', 'postgres'] as const).map((kind) => {
    const { settings, close } = openTransport(kind, inject('stack'))
    void close()
    return { connection: settings, queue: queues[kind] }
  })
  const child = spawn(process.execPath, ['--import', preload, program], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...clock, CLOCK_ORDERS: JSON.stringify(orders), NODE_NO_WARNINGS: '1' },
  })
  const exited = once(child, 'close')
  finished(async () => {
    child.kill('SIGKILL')
    await exited
  })
  const [lines, errors]: [Line[], string[]] = [[], []]
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(JSON.parse(line)))
  child.stderr.on('data', (chunk) => errors.push(String(chunk)))
  return {
    lines,
    errors,
    async stop(): Promise<unknown> {
      child.kill('SIGTERM')
      return (await exited)[0]
    },
  }
}

describe('mail that waits for its server', () => {
  const cleanups: Cleanups = []
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
  })

  test.for([
    ['behind', HOUR_MS],
    ['ahead', -HOUR_MS],
  ] as const)('is not given up where the clock is an hour %s', async ([, enqueuedInMs]) => {
    const smtp = await startRawSmtp(() => '421 closed for today')
    cleanups.push(smtp.stop)
    const deliver = processorFor(cleanups, smtp.port, { giveUpAfterSeconds: 2 * 3600 })
    const mail = { to: 'ann@to.example', subject: 'Hi', text: 'Hello' }
    const enqueuedAt = new Date(Date.now() + enqueuedInMs)
    expect((await deliver(mail, undefined, { enqueuedAt })).error).toBeInstanceOf(OutageError)
  })
})
