/**
 * `npx node bench/dashboard.ts`: what the dashboard costs the database, with ten queues of a million messages each: how long a page waits for
 * an answer, and (on Linux) how long the server's processors work for it. The 1000th page is reached by going through all before it.
 */
import { readFileSync } from 'node:fs'

import { parseArgs } from 'node:util'
import type { Sql } from 'postgres'
import { table } from '../queue-worker/src/commands/table.ts'
import type { MessageState, MessagesOptions } from '../queue-worker/src/queue/dashboard.ts'
import { createQueue } from '../queue-worker/src/queue/queue.ts'
import { createSetting } from './setting.ts'

const { values } = parseArgs({
  options: {
    queues: { type: 'string', default: '10' },
    messages: { type: 'string', default: '1000000' },
    pages: { type: 'string', default: '1000' },
    rounds: { type: 'string', default: '20' },
  },
})
const messages = Number(values.messages)
const rounds = Number(values.rounds)
const names = Array.from({ length: Number(values.queues) }, (_, i) => `dashboard_${i + 1}`)
const deep = names[0] ?? ''
const setting = await createSetting()
const queue = createQueue(setting.connect('postgres'))
const figures: string[][] = []
const PREPARED = 'the first in its minute'

for (const name of names) await load(setting.sql, name)
await loadDeep(setting.sql, deep)
// What a deployment has had all the while: analyzed tables.
for (const name of [...names, `${deep}_dlq`])
  await setting.sql`vacuum analyze ${setting.sql(`pgmq.q_${name}`)}`
await setting.sql`vacuum analyze ${setting.sql(`pgmq.a_${deep}`)}`
for (const records of ['outcomes', 'stats', 'arrivals', 'workers'])
  await setting.sql`vacuum analyze ${setting.sql(`queue_worker.${records}`)}`
await setting.sql`checkpoint`.catch(() => {})

await measure('glance', () => queue.glance())
for (const state of ['ready', 'in_flight', 'delayed', 'retrying', 'dead', 'archived'] as const) {
  await measure(`messages ${state}, page 1`, () => queue.messages(deep, { state }))
  const { cursor, pages } = await turn(state, Number(values.pages) - 1)
  await measure(`messages ${state}, page ${pages + 1}`, () => queue.messages(deep, { state, after: cursor }))
}
const searches: Record<string, MessagesOptions> = {
  'a field that none has': { state: 'ready', search: { path: ['n'], value: 'none' } },
  'a text that none has': { state: 'ready', text: 'no such text' },
}
for (const [name, options] of Object.entries(searches))
  await measure(`messages ready, ${name}`, () => queue.messages(deep, options))
const until = new Date()
const ago = (hours: number) => new Date(until.getTime() - hours * 3_600_000)
await measure('history, an hour by minutes', () =>
  queue.history(deep, { since: ago(1), until, stepSeconds: 60 }),
)
await measure('history, 30 days by hours', () =>
  queue.history(deep, { since: ago(720), until, stepSeconds: 3600 }),
)
await measure('errorGroups, a day', () => queue.errorGroups(deep, { since: ago(24), until }))
await measure('a beat of ten queues', () => beat())
await measure(`the same, ${PREPARED}`, async () => {
  await setting.sql`delete from queue_worker.arrivals where minute > now() - interval '2 minutes'`
  return beat
})

console.log(`\n${table(['', 'median ms', 'max ms', 'server ms'], figures, [1, 2, 3])}`)
await queue.close()
await setting.close()
process.exit(0)

function beat() {
  return queue.beat({
    workerId: 'bench',
    instance: 'i',
    version: '1',
    host: 'h',
    pid: 1,
    queues: names,
    inFlight: 0,
  })
}

/** Runs it so many times; what it returns, if a function, is the part that is measured. */
async function measure(name: string, run: () => Promise<unknown>): Promise<void> {
  const times: number[] = []
  const works: number[] = []
  for (let round = -2; round < rounds; round += 1) {
    const prepared = name.endsWith(PREPARED) ? await run() : run
    const worked = await work()
    const begun = performance.now()
    if (typeof prepared === 'function') await prepared()
    const took = performance.now() - begun
    if (round < 0) continue
    times.push(took)
    works.push((await work()) - worked)
  }
  const sorted = times.toSorted((a, b) => a - b)
  const [median, most, cpu] = [middle(sorted), sorted.at(-1) ?? 0, middle(works.toSorted((a, b) => a - b))]
  figures.push([name, ...[median, most, cpu].map((ms) => ms.toFixed(1))])
  process.stderr.write(`${figures.at(-1)?.join('  ')}\n`)
}

function middle(sorted: readonly number[]): number {
  return sorted[sorted.length >> 1] ?? Number.NaN
}

/** Milliseconds that the connections' server processes have been at work. */
async function work(): Promise<number> {
  const backends =
    await setting.sql`select pid from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()`
  try {
    return backends.reduce(
      (sum, { pid }) => sum + Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[0]) / 1e6,
      0,
    )
  } catch {
    return Number.NaN
  }
}

/** Goes through so many pages, or as far as there are some. */
async function turn(state: MessageState, pages: number): Promise<{ cursor: string | null; pages: number }> {
  let cursor: string | null = null
  for (let page = 0; page < pages; page += 1) {
    const { next } = await queue.messages(deep, { state, after: cursor })
    if (next === null) return { cursor, pages: page }
    cursor = next
  }
  return { cursor, pages }
}

/** Nine tenths ready, the rest delayed, retrying and, a few hundred, in flight; an hour's stats and samples. */
async function load(sql: Sql, name: string): Promise<void> {
  process.stderr.write(`loading ${name} …\n`)
  await sql`select queue_worker.ensure_queue(${name}, true)`
  await sql`
    insert into ${sql(`pgmq.q_${name}`)} (read_ct, enqueued_at, vt, message)
    select case when n % 100 < 5 or n % 4000 = 50 then 1 else 0 end, now() - interval '1 hour' + n * interval '1 millisecond',
      case when n % 4000 = 50 then now() + interval '10 minutes' + n * interval '1 microsecond'
        when n % 100 < 10 then now() + interval '1 hour' + n * interval '1 millisecond'
        else now() - interval '1 hour' + n * interval '1 millisecond' end,
      jsonb_build_object('n', n, 'to', 'ann' || n || '@example.com')
    from generate_series(1, ${messages}::int) n`
  await sql`
    insert into queue_worker.outcomes (queue, msg_id, enqueued_at, delivery, outcome, error, worker_id, recorded_at)
    select ${name}, m.msg_id, m.enqueued_at, 1, 'retry', 'connect ECONNREFUSED 10.0.0.' || m.msg_id % 7 || ': it failed', 'w', now() - m.msg_id % 86000 * interval '1 second'
    from ${sql(`pgmq.q_${name}`)} m where m.read_ct = 1 and m.msg_id % 4000 <> 50`
  await sql`
    insert into queue_worker.stats (queue, minute, backend, archived, retried, ran_ms, ran_ms_max, waited_ms, waited_ms_max)
    select ${name}, date_trunc('minute', now()) - n * interval '1 minute', b, 100, 3, 900, 40, 90, 10 from generate_series(0, 43199) n, generate_series(1, 2) b`
  await sql`
    insert into queue_worker.arrivals (queue, minute, last_id, sampled_at)
    select ${name}, date_trunc('minute', now()) - n * interval '1 minute', greatest(0, ${messages}::int - n * 20),
      date_trunc('minute', now()) - n * interval '1 minute' + interval '7 seconds' from generate_series(1, 43199) n`
}

/** One has as many dead letters and archived messages. */
async function loadDeep(sql: Sql, name: string): Promise<void> {
  process.stderr.write(`loading the archive and the dead letters of ${name} …\n`)
  await sql`
    insert into ${sql(`pgmq.a_${name}`)} (msg_id, read_ct, enqueued_at, archived_at, vt, message)
    select n + ${messages}::int, 1, now() - interval '10 days', now() - n * interval '500 milliseconds', now(), jsonb_build_object('n', n)
    from generate_series(1, ${messages}::int) n`
  await sql`
    insert into ${sql(`pgmq.q_${name}_dlq`)} (enqueued_at, vt, message)
    select now() - (${messages}::int - n) * interval '1 second', now(), jsonb_build_object('message', jsonb_build_object('n', n), 'headers', null,
      'dead_letter', jsonb_build_object('queue', ${name}::text, 'msg_id', n, 'origin_key', md5(n::text), 'reason', 'attempts_exhausted',
        'error', 'it failed', 'attempts', 5, 'deliveries', 5, 'enqueued_at', now(), 'dead_at', now(), 'worker_id', 'w'))
    from generate_series(1, ${messages}::int) n`
}
