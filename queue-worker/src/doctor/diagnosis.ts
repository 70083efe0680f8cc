/** What the database tells about itself: the answer of queue_worker_diagnose, checked and typed. */
import { z } from 'zod'
import type { Transport } from '../queue/contract.ts'
import { asker } from '../queue/queue.ts'

const right = z.object({ role: z.string(), what: z.string() })

export const diagnosisRow = z.object({
  now: z.string(),
  read_only: z.boolean(),
  grants: z.object({ open: z.array(right), missing: z.array(right) }),
  sessions: z.array(
    z.object({
      pid: z.number().nullable(),
      user: z.string().nullable(),
      program: z.string().nullable(),
      state: z.string().nullable(),
      seconds: z.number(),
      holds_snapshot: z.boolean(),
    }),
  ),
  queues: z.array(
    z.object({
      queue: z.string(),
      exists: z.boolean(),
      dead_letter_queue: z.boolean(),
      paused: z.boolean(),
      live_rows: z.number().nullable(),
      dead_rows: z.number().nullable(),
    }),
  ),
  connections: z.object({ max: z.number(), used: z.number() }),
  migrations: z.array(z.object({ name: z.string(), checksum: z.string() })),
  tables_in_the_way: z.array(z.string()),
  workers: z.array(
    z.object({
      worker_id: z.string(),
      version: z.string(),
      host: z.string(),
      pid: z.number(),
      queues: z.array(z.string()),
      schedules: z.boolean(),
      stopping: z.boolean(),
      drain: z.boolean(),
      seen_seconds: z.number(),
    }),
  ),
})

export type Diagnosis = z.output<typeof diagnosisRow>

/** Throws ConnectionFailure. */
export function diagnose({ call }: Pick<Transport, 'call'>, queues: readonly string[]): Promise<Diagnosis> {
  return asker(call)('diagnose', { queues }, diagnosisRow)
}
