/** The floors: bare pgmq.read and pgmq.archive, batched, several loops side by side; no safety, no code per message. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Setting } from './setting.ts'

type Row = { readonly msg_id: string }
type Bare = {
  read(queue: string, batch: number): Promise<readonly Row[]>
  archive(queue: string, rows: readonly Row[]): Promise<unknown>
}

/** Over the direct connection, through the client that ours uses. */
export const bareSql = ({ sql }: Setting): Bare => ({
  read: (queue, batch) =>
    sql<Row[]>`select msg_id, message from pgmq.read(${queue}::text, 30::int, ${batch}::int)`,
  archive: (queue, rows) =>
    sql`select pgmq.archive(${queue}::text, ${rows.map((row) => row.msg_id)}::bigint[])`,
})

/** Over REST, through functions of one's own. */
export const bareRest = ({ rest }: Setting): Bare => ({
  read: async (queue, qty) => (await rest.rpc('bench_read', { queue, vt: 30, qty }).throwOnError()).data,
  archive: async (queue, rows) =>
    rest.rpc('bench_archive', { queue, msg_ids: rows.map((row) => row.msg_id) }).throwOnError(),
})

/** Messages per second, with so many requests under way at once. */
export async function drainFloor(
  setting: Setting,
  bare: Bare,
  messages: number,
  batch: number,
  atOnce = 2,
): Promise<number> {
  const queue = await setting.fill(messages)
  const startedMs = performance.now()
  const consume = async () => {
    for (;;) {
      const rows = await bare.read(queue, batch)
      if (rows.length === 0) return
      await bare.archive(queue, rows)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, consume))
  return messages / ((performance.now() - startedMs) / 1000)
}

/** As `latencies`: woken by a notification, one bare read. */
export async function latencyFloor(
  setting: Setting,
  messages: number,
  intervalMs: number,
): Promise<number[]> {
  const { sql } = setting
  const queue = await setting.fill(0)
  const bare = bareSql(setting)
  const waits: number[] = []
  let committedMs = 0
  const { unlisten } = await sql.listen('queue_worker', async () => {
    const rows = await bare.read(queue, 100)
    if (rows.length === 0) return
    waits.push(Math.max(0, performance.now() - committedMs))
    await bare.archive(queue, rows)
  })
  for (let n = 0; n < messages; n += 1) {
    committedMs = Number.POSITIVE_INFINITY
    await sql`select pgmq.send(${queue}::text, ${sql.json({ n })}::jsonb)`
    committedMs = performance.now()
    await sleep(intervalMs)
  }
  await unlisten()
  return waits.sort((a, b) => a - b)
}
