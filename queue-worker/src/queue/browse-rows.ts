/** The JSON that the past of a schedule and the list of reports come in, turned into the product's own types. */
import { z } from 'zod'
import type { ReportLine, SchedulePast, TickRow } from './browse.ts'

const text = z.string()

const tickRow = z.object({ run_at: text, sent_at: text, queue: text, msg_id: text, state: text }).transform(
  ({ run_at, sent_at, msg_id, ...row }): TickRow => ({
    ...row,
    runAt: run_at,
    sentAt: sent_at,
    msgId: msg_id,
  }),
)

export const schedulePastRow = z
  .object({
    now: text,
    name: text,
    cron: text,
    timezone: text,
    queue: text,
    message: z.unknown(),
    enabled: z.boolean(),
    missed: text,
    created_at: text,
    next_run_at: text.nullable(),
    last_error: text.nullable(),
    ticks: z.array(tickRow),
  })
  .transform(
    ({ created_at, next_run_at, last_error, message, ...row }): SchedulePast => ({
      ...row,
      message,
      createdAt: created_at,
      nextRunAt: next_run_at,
      lastError: last_error,
    }),
  )
  .nullable()

export const reportLineRows = z.array(
  z
    .object({
      origin_key: text,
      report: text,
      title: text.nullable(),
      format: text,
      state: text,
      rows: z.number().nullable(),
      bytes: z.number().nullable(),
      requested_at: text,
      finished_at: text.nullable(),
    })
    .transform(
      ({ origin_key, requested_at, finished_at, ...row }): ReportLine => ({
        ...row,
        originKey: origin_key,
        requestedAt: requested_at,
        finishedAt: finished_at,
      }),
    ),
)
