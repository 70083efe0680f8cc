/** What tests of schedules need: a stack of their own (schedulers send what any schedule there asks for) and a clock to move. */
import postgres, { type Sql } from 'postgres'
import { PROTOCOL } from '../../src/queue/queue.ts'
import { applyMigrations, listMigrations } from '../../src/services/migrations.ts'
import { type TestStack, testStack } from './stack.ts'
import { openTransport } from './transports.ts'
import { until } from './worker.ts'

export async function scheduleStack(): Promise<TestStack> {
  const stack = await testStack()
  const sql = postgres(stack.databaseUrl, { max: 1, onnotice: () => {} })
  await applyMigrations(sql, await listMigrations())
  await sql.end()
  // PostgREST notices a migration a moment after it was committed.
  const transport = openTransport('rpc', stack)
  const isServed = () => transport.call('schedules', { protocol: PROTOCOL }).then(() => true)
  await until('the functions are served', () => isServed().catch(() => false), 60_000)
  await transport.close()
  return stack
}

/** From now on it is for all schedules of this database what time the test says. */
export async function moveClock(sql: Sql, at: string): Promise<void> {
  await sql
    .unsafe(
      `create table if not exists public.test_clock (at timestamptz not null);
       delete from public.test_clock where true;
       insert into public.test_clock values ('${at}');
       create or replace function queue_worker.clock() returns timestamptz
       language sql volatile set search_path = '' as 'select at from public.test_clock'`,
    )
    .simple()
}

/** The real time again, as it was before the first move. */
export async function restoreClock(sql: Sql): Promise<void> {
  await sql.unsafe(`create or replace function queue_worker.clock() returns timestamptz
    language sql volatile set search_path = '' as 'select clock_timestamp()'`)
}

/** Lets time pass; gives what time it is then. */
export async function passSeconds(sql: Sql, seconds: number): Promise<Date> {
  const [row] = await sql<{ at: Date }[]>`
    update public.test_clock set at = at + make_interval(secs => ${seconds}) where true returning at`
  if (row === undefined) throw new Error('the clock was not moved yet')
  return row.at
}

/** A tick waits for a lock as long as a test holds it, however slow the machine is. */
export async function waitForLocks(sql: Sql): Promise<void> {
  await sql`alter function queue_worker.apply_plan(jsonb) set lock_timeout = 0`
}

export type ScheduleRow = {
  readonly name: string
  readonly queue: string
  readonly cron?: string
  readonly timezone?: string
  readonly missed?: 'skip' | 'one' | 'all'
}

/** As a person would in SQL. */
export async function addSchedule(sql: Sql, row: ScheduleRow): Promise<void> {
  const values = { cron: '* * * * * *', missed: 'all', ...row }
  await sql`insert into queue_worker.schedules ${sql({ ...values, message: sql.json({ for: row.name }) })}`
}

export type TickRow = { readonly run_at: Date; readonly msg_id: string; readonly queue: string }

export const ticksOf = (sql: Sql, schedule: string) =>
  sql<
    TickRow[]
  >`select run_at, msg_id, queue from queue_worker.ticks where schedule = ${schedule} order by run_at`

/** The run times that the messages of a queue say they are for, in the order of their ids. */
export async function runsIn(sql: Sql, queue: string): Promise<string[]> {
  const rows = await sql`select headers ->> 'x-run-at' as run from ${sql(`pgmq.q_${queue}`)} order by msg_id`
  return rows.map(({ run }) => run)
}
