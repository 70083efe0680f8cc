/** The floor: bare pgmq.read and pgmq.archive, batched, on two connections; no safety, no code per message. */
import type { Setting } from './setting.ts'

/** Messages per second. */
export async function drainFloor(setting: Setting, messages: number, batch: number): Promise<number> {
  const { sql } = setting
  const queue = await setting.fill(messages)
  const startedMs = performance.now()
  const consume = async () => {
    for (;;) {
      const rows = await sql<{ msg_id: string; message: unknown }[]>`
        select msg_id, message from pgmq.read(${queue}::text, 30::int, ${batch}::int)`
      if (rows.length === 0) return
      await sql`select pgmq.archive(${queue}::text, ${rows.map((row) => row.msg_id)}::bigint[])`
    }
  }
  await Promise.all([consume(), consume()])
  return messages / ((performance.now() - startedMs) / 1000)
}
