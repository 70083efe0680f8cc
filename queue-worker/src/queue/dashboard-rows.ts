/** The JSON that the SQL functions answer the dashboard with, turned into the product's own types. */
import { z } from 'zod'
import type {
  ErrorGroup,
  Glance,
  HistoryPoint,
  MessageLine,
  MessagePage,
  Related,
  ScheduleRow,
  WorkerRow,
} from './dashboard.ts'
import { overviewFields, toOverview } from './operator-rows.ts'
import { breaker } from './rows.ts'

const text = z.string().nullable()
const number = z.number().nullable()

const minuteRow = z.object({
  minute: z.string(),
  sent: number,
  succeeded: z.number(),
  failed: z.number(),
  dead: z.number(),
})

const workerRow = z
  .object({
    worker_id: z.string(),
    instance: z.string(),
    version: z.string(),
    host: z.string(),
    pid: z.number(),
    queues: z.array(z.string()),
    in_flight: z.number(),
    stopping: z.boolean(),
    schedules: z.boolean(),
    started_at: z.string(),
    seen_at: z.string(),
    alive: z.boolean(),
  })
  .transform(
    ({ worker_id, in_flight, started_at, seen_at, ...row }): WorkerRow => ({
      ...row,
      workerId: worker_id,
      inFlight: in_flight,
      startedAt: started_at,
      seenAt: seen_at,
    }),
  )

const scheduleRow = z
  .object({
    name: z.string(),
    cron: z.string(),
    timezone: z.string(),
    queue: z.string(),
    enabled: z.boolean(),
    last_run_at: text,
    last_msg_id: text,
    last_state: text,
    next_run_at: text,
    last_error: text,
  })
  .transform(
    ({ last_run_at, last_msg_id, last_state, next_run_at, last_error, ...row }): ScheduleRow => ({
      ...row,
      lastRunAt: last_run_at,
      lastMsgId: last_msg_id,
      lastState: last_state,
      nextRunAt: next_run_at,
      lastError: last_error,
    }),
  )

export const glanceRow: z.ZodType<Glance> = z.object({
  now: z.string(),
  queues: z.array(
    z
      .object({
        ...overviewFields,
        breaker: breaker.extend({ until: z.string() }).nullable(),
        minutes: z.array(minuteRow),
      })
      .transform(({ minutes, breaker, ...row }) => ({
        ...toOverview({ ...row, breaker }),
        breaker,
        minutes,
      })),
  ),
  workers: z.array(workerRow),
  schedules: z.array(scheduleRow),
})

const messageLine = z
  .object({
    msg_id: z.string(),
    enqueued_at: z.string(),
    at: z.string(),
    deliveries: z.number(),
    failures: z.number(),
    error: text,
    reason: text,
    worker_id: text,
    preview: z.string(),
    bytes: z.number(),
  })
  .transform(
    ({ msg_id, enqueued_at, worker_id, ...row }): MessageLine => ({
      ...row,
      msgId: msg_id,
      enqueuedAt: enqueued_at,
      workerId: worker_id,
    }),
  )

export const messagePage = z
  .object({ messages: z.array(messageLine), next: text, looked_at: z.number() })
  .transform(({ looked_at, ...page }): MessagePage => ({ ...page, lookedAt: looked_at }))

export const historyRows = z.array(
  z
    .object({
      at: z.string(),
      sent: number,
      archived: z.number(),
      deleted: z.number(),
      retried: z.number(),
      dead: z.number(),
      released: z.number(),
      snoozed: z.number(),
      ran_ms: number,
      ran_ms_max: number,
      waited_ms: number,
      waited_ms_max: number,
    })
    .transform(
      ({ ran_ms, ran_ms_max, waited_ms, waited_ms_max, ...row }): HistoryPoint => ({
        ...row,
        ranMs: ran_ms,
        ranMsMax: ran_ms_max,
        waitedMs: waited_ms,
        waitedMsMax: waited_ms_max,
      }),
    ),
)

export const errorGroupRows = z.array(
  z
    .object({
      error: z.string(),
      count: z.number(),
      last_at: z.string(),
      last_error: z.string(),
      last_msg_id: z.string(),
      outcome: z.string(),
    })
    .transform(
      ({ last_at, last_error, last_msg_id, ...row }): ErrorGroup => ({
        ...row,
        lastAt: last_at,
        lastError: last_error,
        lastMsgId: last_msg_id,
      }),
    ),
)

const reportRow = z
  .object({
    report: z.string(),
    state: z.string(),
    format: z.string(),
    title: text,
    location: text,
    bytes: number,
    rows: number,
    finished_at: text,
    error: text,
  })
  .transform(({ finished_at, ...row }) => ({ ...row, finishedAt: finished_at }))

const paymentRow = z
  .object({
    id: z.string(),
    reference: text,
    status: z.string(),
    amount: z.string(),
    currency: z.string(),
    updated_at: z.string(),
  })
  .transform(({ updated_at, ...row }) => ({ ...row, updatedAt: updated_at }))

export const relatedRow: z.ZodType<Related> = z.object({
  report: reportRow.nullable(),
  payments: z.array(paymentRow),
})
