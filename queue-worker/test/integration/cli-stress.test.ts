/** `stress`: what it reports, and that nothing of it stays behind, however it ends. */
import postgres from 'postgres'
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest'
import { endAll, folder, freePort, removeFolder, run, start } from '../support/cli.ts'
import { connectionEnv, KINDS } from '../support/cli-env.ts'
import { uniqueQueue } from '../support/queues.ts'

const stack = inject('stack')
const sql = postgres(stack.databaseUrl, { max: 1, onnotice: () => {} })
let cwd = ''
beforeAll(async () => {
  cwd = await folder()
})
afterEach(endAll)
afterAll(async () => {
  await sql.end()
  await removeFolder(cwd)
})

/** The queue of a run, out of what it said. */
function queueOf(said: string): string {
  const queue = /stress_[0-9a-f]{16}/.exec(said)?.[0]
  if (queue === undefined) throw new Error(`no queue is named:\n${said}`)
  return queue
}

/** Every relation and row of the whole database that has something to do with the queue. */
async function leftOf(queue: string): Promise<string[]> {
  const relations = await sql<{ name: string }[]>`
    select relname as name from pg_class where strpos(relname, ${queue}) > 0 order by 1`
  const columns = await sql<{ schema: string; name: string; column: string }[]>`
    select n.nspname as schema, c.relname as name, a.attname as column
    from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'queue_worker' and c.relkind = 'r' and a.attname in ('queue', 'worker_id')
      or n.nspname = 'pgmq' and c.relname in ('meta', 'notify_insert_throttle') and a.attname = 'queue_name'`
  expect(columns.length).toBeGreaterThan(8)
  const found = relations.map(({ name }) => name)
  for (const { schema, name, column } of columns) {
    const [row] = await sql`
      select count(*)::int as n from ${sql(`${schema}.${name}`)} where strpos(${sql(column)}::text, ${queue}) > 0`
    if (row?.n > 0) found.push(`${row?.n} rows of ${schema}.${name}`)
  }
  return found
}

const drop = (queue: string) =>
  sql`select public.queue_worker_drop_queue(${sql.json({ protocol: 1, queue })}::jsonb) as answer`

describe.each(KINDS)('over %s', (kind) => {
  const env = connectionEnv(kind, stack)
  const stress = (...args: string[]) => run(['stress', ...args], { cwd, env })

  test('it sends, works, retries what failed, tells the figures, and leaves nothing', async () => {
    const { code, out, err, text } = await stress('--messages', '300', '--fail', '0.05')
    expect(code, text).toBe(0)
    expect(out).toMatch(new RegExp(`^Over ${kind}, \\S+:\n {2}sent +300 in [\\d.]+ s, [\\d,]+/s\n`))
    expect(out).toMatch(/^ {2}processed +300 in [\d.]+ s, [\d,]+\/s$/m)
    expect(out).toMatch(/^ {2}send to start +p50 [\d.]+ ms, p95 [\d.]+ ms, p99 [\d.]+ ms, max [\d.]+ ms$/m)
    expect(out).toMatch(/^ {2}retries +15\n {2}lost +0\n {2}doubled +0\n$/m)
    expect(err).toMatch(/^300 messages of 300 bytes through queue stress_[0-9a-f]{16} …\n/)
    expect(err).toMatch(/^removed: stress_/m)
    expect(await leftOf(queueOf(err))).toEqual([])
  })

  test('--json gives the same as data, at the rate, size and duration asked', async () => {
    const args = ['--messages', '40', '--size', '2000', '--rate', '80', '--concurrency', '3']
    const { code, out, err, text } = await stress(...args, '--duration-ms', '5', '--fail', '0', '--json')
    expect(code, text).toBe(0)
    const result = JSON.parse(out)
    expect(result).toMatchObject({
      ...{ transport: kind, messages: 40, size: 2000, rate: 80, concurrency: 3, durationMs: 5, fail: 0 },
      ...{ sent: 40, failedSends: 0, processed: 40, retries: 0, dead: 0, lost: 0, doubled: 0, unfinished: 0 },
      interrupted: false,
    })
    // The last is due 39 80ths of a second after the first.
    expect(result.sendSeconds).toBeGreaterThan(0.48)
    const { p50, p95, p99, max } = result.latencyMs
    expect([p50, p95, p99, max]).toEqual([p50, p95, p99, max].toSorted((a, b) => a - b))
    expect(p50).toBeGreaterThan(0)
    expect(await leftOf(queueOf(err))).toEqual([])
  })

  test.each(['SIGINT', 'SIGTERM'] as const)(
    '%s midway ends it with 1, the figures so far, and nothing left',
    async (signal) => {
      const slow = ['--messages', '5000', '--rate', '100', '--duration-ms', '60000', '--concurrency', '4']
      const cli = start(['stress', ...slow], { cwd, env })
      await cli.says(/ 4 s: /)
      const queue = queueOf(cli.err())
      expect(await leftOf(queue)).toEqual(expect.arrayContaining([queue, `q_${queue}`, `q_${queue}_dlq`]))
      cli.signal(signal)
      expect(await cli.ended, cli.text()).toBe(1)
      expect(cli.err()).toMatch(/^Stopping and cleaning up …$/m)
      expect(cli.out()).toMatch(/^Interrupted\. Over/)
      expect(cli.out()).toMatch(/^ {2}lost +0\n {2}doubled +0\n {2}not finished +\d+\n$/m)
      expect(await leftOf(queue)).toEqual([])
    },
  )

  test('when the worker cannot go on, that is told and nothing is left', async () => {
    // Longer than the registry takes to tell it.
    const cli = start(['stress', '--messages', '5000', '--rate', '25'], { cwd, env })
    await cli.says(/ 2 s: /)
    const queue = queueOf(cli.err())
    await sql`update queue_worker.workers set drain = true where worker_id = ${queue}`
    expect(await cli.ended, cli.text()).toBe(1)
    expect(cli.err()).toMatch(/^error: .*asked to stop by the registry/m)
    expect(cli.out()).toBe('')
    expect(await leftOf(queue)).toEqual([])
  })

  test('a database that is away is told at once', async () => {
    const port = await freePort()
    const away: Record<string, string> =
      kind === 'rpc'
        ? { SUPABASE_URL: `http://127.0.0.1:${port}` }
        : { DATABASE_URL: `postgresql://a:b@127.0.0.1:${port}/c` }
    const { code, out, err } = await run(['stress'], { cwd, env: { ...env, ...away } })
    expect([code, out]).toEqual([1, ''])
    expect(err).toMatch(/^error: .*127\.0\.0\.1:\d+.*refused.*\n\nWhat to do: Check that the server runs/)
  })
})

test('without a connection it says what to set', async () => {
  const { code, err } = await run(['stress'], { cwd })
  expect(code).toBe(3)
  expect(err).toMatch(/no connection is configured\n\nWhat to do: Set SUPABASE_URL/)
})

test('only queues of stress tests can be dropped that way, and dropping again is harmless', async () => {
  const mine = uniqueQueue('stress')
  for (const queue of [
    'stress_test',
    'email_queue',
    `${mine}_dlq`,
    `x${mine}`,
    mine.replace('_', '-'),
    '',
    null,
  ]) {
    await expect(drop(queue as string), String(queue)).rejects.toMatchObject({ code: 'QW002' })
  }
  expect(await drop(mine)).toEqual([{ answer: true }])
  await sql`select queue_worker.ensure_queue(${mine}::text, true)`
  await sql`select pgmq.send(${mine}::text, '1'::jsonb)`
  expect(await drop(mine)).toEqual([{ answer: true }])
  expect(await drop(mine)).toEqual([{ answer: true }])
  expect(await leftOf(mine)).toEqual([])
})

test('very many rows go in portions, each within its own call', async () => {
  const mine = uniqueQueue('stress')
  await sql`insert into queue_worker.outcomes (queue, msg_id, enqueued_at, delivery, outcome)
    select ${mine}, n, now(), 1, 'retry' from generate_series(1, 60000) n`
  expect(await drop(mine)).toEqual([{ answer: false }])
  expect(await leftOf(mine)).toEqual(['10000 rows of queue_worker.outcomes'])
  expect(await drop(mine)).toEqual([{ answer: true }])
  expect(await leftOf(mine)).toEqual([])
})
