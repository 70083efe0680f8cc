/** What can be wrong with the queues. */
import { until } from '../../support/worker.ts'
import { type Case, otherProcessors } from './case.ts'

export const queues: readonly Case[] = [
  {
    what: 'a missing queue',
    kind: 'rpc',
    async breaks(bench) {
      await bench.sql`select pgmq.drop_queue('orders')`
      bench.later(
        () =>
          bench.sql`select queue_worker_ensure_queue('{"protocol": 1, "queue": "orders", "notify": true}')`,
      )
      return {}
    },
    finds: 'queue_missing',
    says: /there is no queue orders/,
    remedy: /select pgmq\.create\('orders'\)/,
    fixed: { did: /created what was missing of queue orders/ },
  },
  {
    what: 'a missing dead-letter queue',
    kind: 'postgres',
    async breaks(bench) {
      await bench.sql`select pgmq.drop_queue('orders_dlq')`
      return {}
    },
    finds: 'dead_letter_queue_missing',
    says: /queue orders has no dead-letter queue/,
    remedy: /select pgmq\.create\('orders_dlq'\)/,
    fixed: { did: /created what was missing of queue orders/ },
  },
  {
    what: 'a paused queue',
    kind: 'rpc',
    async breaks({ sql, later }) {
      const set = (paused: boolean) =>
        sql`select queue_worker_set_paused(${sql.json({ protocol: 1, queue: 'orders', paused })})`
      await set(true)
      later(() => set(false))
      return {}
    },
    finds: 'queue_paused',
    says: /queue orders is paused/,
    remedy: /queue_worker_set_paused/,
  },
  {
    what: 'dead letters',
    kind: 'postgres',
    async breaks({ sql, later }) {
      await sql`select pgmq.send('orders_dlq', '{}')`
      later(() => sql`select pgmq.purge_queue('orders_dlq')`)
      return {}
    },
    finds: 'dead_letters',
    says: /queue orders has dead letters: 1$/,
    remedy: /pgmq\.q_orders_dlq/,
  },
  {
    what: 'messages that nobody takes',
    kind: 'rpc',
    async breaks(bench) {
      await bench.sql`select queue_worker_ensure_queue('{"protocol": 1, "queue": "waiting"}')`
      bench.later(() => bench.sql`select pgmq.drop_queue('waiting')`)
      await bench.sql`select pgmq.send('waiting', '{}')`
      await bench.sql`update pgmq.q_waiting set vt = vt - interval '1 hour' where true`
      return otherProcessors(bench, 'waiting')
    },
    finds: 'messages_wait',
    also: ['queue_unserved'],
    says: /queue waiting: 1 due, the oldest for 6\d min/,
    remedy: /workers/,
  },
  {
    what: 'a table full of dead rows',
    kind: 'postgres',
    async breaks({ sql, later }) {
      await sql`alter table pgmq.q_orders set (autovacuum_enabled = off)`
      later(async () => {
        await sql`alter table pgmq.q_orders reset (autovacuum_enabled)`
        await sql`vacuum pgmq.q_orders`
      })
      await sql`select pgmq.send_batch('orders', array(select '{}'::jsonb from generate_series(1, 30000)), 3600)`
      await sql`delete from pgmq.q_orders where true`
      await until('the statistics tell', async () => {
        await sql`select pg_stat_force_next_flush()`
        const [row] =
          await sql`select n_dead_tup::int as dead from pg_stat_user_tables where relname = 'q_orders'`
        return row?.dead >= 30_000
      })
      return {}
    },
    finds: 'dead_rows',
    says: /queue orders has \d{5} dead rows/,
    remedy: /^vacuum pgmq\.q_orders;/,
  },
]
