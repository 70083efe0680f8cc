/** What tests of schedules need: a stack of their own (schedulers send what any schedule there asks for) and a clock to move. */
import postgres, { type Sql } from 'postgres'
import { applyMigrations, listMigrations } from '../../src/services/migrations.ts'
import { type TestStack, testStack } from './stack.ts'

export async function scheduleStack(): Promise<TestStack> {
  const stack = await testStack()
  const sql = postgres(stack.databaseUrl, { max: 1, onnotice: () => {} })
  await applyMigrations(sql, await listMigrations())
  await sql.end()
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

/** Lets time pass; gives what time it is then. */
export async function passSeconds(sql: Sql, seconds: number): Promise<Date> {
  const [row] = await sql<{ at: Date }[]>`
    update public.test_clock set at = at + make_interval(secs => ${seconds}) where true returning at`
  if (row === undefined) throw new Error('the clock was not moved yet')
  return row.at
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
