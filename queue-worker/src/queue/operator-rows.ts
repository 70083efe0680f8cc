/** The JSON that the SQL functions answer an operator with, turned into the product's own types. */
import { z } from 'zod'
import type { DeadLetter, Inspected, LetterCount, Pruned, QueueOverview } from './operator.ts'
import { heldFields } from './rows.ts'

export const overviewFields = {
  queue: z.string(),
  ready: z.number(),
  in_flight: z.number(),
  delayed: z.number(),
  retrying: z.number(),
  dead: z.number(),
  estimated: z.array(
    z
      .enum(['ready', 'in_flight', 'delayed', 'retrying', 'dead'])
      .transform((state) => (state === 'in_flight' ? 'inFlight' : state)),
  ),
  oldest_ready_seconds: z.number().nullable(),
  ...heldFields,
  workers: z.number(),
  last_error: z.string().nullable(),
  last_error_at: z.string().nullable(),
}
const overviewRow = z.object(overviewFields)

export function toOverview({
  in_flight,
  oldest_ready_seconds,
  rate_limit,
  last_error,
  last_error_at,
  ...row
}: z.infer<typeof overviewRow>): QueueOverview {
  return {
    ...row,
    inFlight: in_flight,
    oldestReadySeconds: oldest_ready_seconds,
    rateLimit: rate_limit,
    lastError: last_error,
    lastErrorAt: last_error_at,
  }
}

export const overviewRows = z.array(overviewRow.transform(toOverview))

const deliveryRow = z
  .object({
    delivery: z.number(),
    outcome: z.string(),
    at: z.string().nullable(),
    error: z.string().nullable(),
    worker_id: z.string().nullable(),
    alone_since: z.string().nullable(),
  })
  .transform(({ worker_id, alone_since, ...row }) => ({
    ...row,
    workerId: worker_id,
    aloneSince: alone_since,
  }))

const stepRow = z
  .object({
    step: z.string(),
    state: z.enum(['started', 'done']),
    result: z.unknown(),
    started_by: z.string().nullable(),
    started_at: z.string(),
    done_at: z.string().nullable(),
  })
  .transform((row) => ({
    step: row.step,
    state: row.state,
    result: row.result,
    startedBy: row.started_by,
    startedAt: row.started_at,
    doneAt: row.done_at,
  }))

const knownRow = z
  .object({
    queue: z.string(),
    msg_id: z.string(),
    state: z.enum(['ready', 'in_flight', 'delayed', 'retrying', 'archived', 'dead', 'redriven', 'gone']),
    origin_key: z.string(),
    enqueued_at: z.string(),
    visible_at: z.string().nullable(),
    archived_at: z.string().nullable(),
    message: z.unknown(),
    headers: z.unknown(),
    dead_msg_id: z.string().nullable(),
    dead_letter: z.record(z.string(), z.unknown()).nullable(),
    redriven_as: z.string().nullable(),
    sent_with_key: z.string().nullable(),
    failures: z.number(),
    deliveries: z.array(deliveryRow),
    steps: z.array(stepRow),
  })
  .transform(
    (row): Inspected => ({
      queue: row.queue,
      msgId: row.msg_id,
      state: row.state,
      originKey: row.origin_key,
      enqueuedAt: row.enqueued_at,
      visibleAt: row.visible_at,
      archivedAt: row.archived_at,
      message: row.message,
      headers: row.headers,
      deadMsgId: row.dead_msg_id,
      deadLetter: row.dead_letter,
      redrivenAs: row.redriven_as,
      sentWithKey: row.sent_with_key,
      failures: row.failures,
      deliveries: row.deliveries,
      steps: row.steps,
    }),
  )
const unknownRow = z
  .object({ queue: z.string(), msg_id: z.string(), state: z.literal('unknown') })
  .transform((row): Inspected => ({ queue: row.queue, msgId: row.msg_id, state: row.state }))

export const inspectedRow: z.ZodType<Inspected> = z.union([unknownRow, knownRow])

export const deadLetterRows = z.array(
  z
    .object({
      msg_id: z.string(),
      message: z.unknown().optional(),
      dead_letter: z
        .object({
          origin_key: z.string().catch(''),
          reason: z.string().catch('unknown'),
          error: z.string().nullable().catch(null),
          attempts: z.number().catch(0),
          deliveries: z.number().catch(0),
          dead_at: z.string().catch(''),
        })
        .nullable(),
    })
    .transform(
      (row): DeadLetter => ({
        msgId: row.msg_id,
        originKey: row.dead_letter?.origin_key ?? '',
        reason: row.dead_letter?.reason ?? 'not a dead letter of queue-worker',
        error: row.dead_letter?.error ?? null,
        attempts: row.dead_letter?.attempts ?? 0,
        deliveries: row.dead_letter?.deliveries ?? 0,
        deadAt: row.dead_letter?.dead_at ?? '',
        message: row.message,
      }),
    ),
)

export const letterCountRow = z
  .object({
    letters: z.number(),
    newest_id: z.string().nullable(),
    reasons: z.record(z.string(), z.number()),
    next: z.string().nullable(),
  })
  .transform(({ newest_id, ...row }): LetterCount => ({ ...row, newestId: newest_id }))

export const redriveRows = z.array(
  z
    .object({ dead_msg_id: z.string(), msg_id: z.string() })
    .transform((row) => ({ deadMsgId: row.dead_msg_id, msgId: row.msg_id })),
)

export const discardedRow = z
  .object({ discarded: z.number(), last_id: z.string().nullable() })
  .transform((row) => ({ discarded: row.discarded, lastId: row.last_id }))

export const prunedRow = z.object({
  deleted: z.record(z.string(), z.number()),
  next: z.record(z.string(), z.string()).nullable(),
}) satisfies z.ZodType<Pruned>
