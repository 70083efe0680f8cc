/** A queue whose tables are partitioned, as pgmq.create_partitioned makes them: everything is as with any other queue. */
import { expect, onTestFinished, test } from 'vitest'
import { type BenchSource, conformance } from '../support/bench.ts'

conformance('partitioned queues', (bench: BenchSource) => {
  test('messages of several partitions are sent, read, extended, settled, redriven and counted', async () => {
    const { queue, look } = bench()
    const name = await bench().newQueue()
    await partition(name)
    // Dropping a partitioned queue takes pg_partman.
    onTestFinished(async () => {
      await bench().sql`update pgmq.meta set is_partitioned = false where queue_name = ${name}`
    })
    await queue.send(Array.from({ length: 25 }, (_, n) => ({ queue: name, message: { n } })))
    const messages = await bench().read(name, { limit: 25 })
    expect(messages.map(({ payload }) => (payload as { n: number }).n)).toEqual([...Array(25).keys()])
    expect(
      await queue.extend(messages.map((receipt) => ({ receipt, visibilityTimeoutSeconds: 120 }))),
    ).toEqual(Array(25).fill(true))
    const results = await queue.settle(
      messages.map((receipt, at) => ({ receipt, outcome: outcomeOf(at) })),
      'worker-1',
    )
    expect(results.every(({ status }) => status === 'ok')).toBe(true)
    expect(await look.archived(name)).toHaveLength(22)
    expect(await queue.overview([name])).toMatchObject([{ queue: name, retrying: 1, delayed: 1, dead: 1 }])
    const [letter] = await queue.deadLetters(name, {})
    expect(letter).toMatchObject({ reason: 'unrecoverable', error: 'no' })
    expect(await queue.redrive(name, {})).toHaveLength(1)
    const again = await bench().readOne(name)
    expect(again.originKey).toBe(letter?.originKey)
    await queue.settle([{ receipt: again, outcome: { kind: 'delete' } }], 'worker-1')
    expect(await queue.inspect(name, messages[0]?.msgId ?? '')).toMatchObject({ state: 'archived' })
    expect(await queue.counts([name])).toMatchObject([{ queue: name }])
    expect(await look.messages(name)).toHaveLength(2)
  })

  /** pg_partman, which would add partitions in time, is not here: three of ten messages and one for the rest are. */
  async function partition(name: string): Promise<void> {
    const columns = 'read_ct int not null default 0, enqueued_at timestamptz not null default now()'
    const rest = 'vt timestamptz not null, message jsonb, headers jsonb'
    const of = (table: string) => `
      create table ${table}_1 partition of ${table} for values from (0) to (10);
      create table ${table}_2 partition of ${table} for values from (10) to (20);
      create table ${table}_rest partition of ${table} default;`
    await bench().sql.unsafe(`
      set role postgres;
      drop table pgmq.q_${name}, pgmq.a_${name};
      create table pgmq.q_${name} (msg_id bigint generated always as identity, ${columns}, last_read_at timestamptz, ${rest}) partition by range (msg_id);
      create index on pgmq.q_${name} (vt);
      create table pgmq.a_${name} (msg_id bigint, ${columns}, last_read_at timestamptz, archived_at timestamptz not null default now(), ${rest}) partition by range (msg_id);
      ${of(`pgmq.q_${name}`)} ${of(`pgmq.a_${name}`)}
      update pgmq.meta set is_partitioned = true where queue_name = '${name}';
      reset role`)
  }
})

function outcomeOf(at: number) {
  if (at === 3) return { kind: 'retry', delayMs: 60_000, error: 'once more' } as const
  if (at === 12) return { kind: 'snooze', delayMs: 60_000 } as const
  if (at === 21) return { kind: 'dead', reason: 'unrecoverable', error: 'no', attempts: 1 } as const
  return { kind: 'archive' } as const
}
