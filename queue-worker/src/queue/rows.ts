/** The JSON that the SQL functions answer with, turned into the product's own types. */
import { z } from 'zod'
import type {
  Breaker,
  DatabaseStatus,
  LedgerState,
  QueueCounts,
  ReadResult,
  SendResult,
  SettleResult,
} from './contract.ts'
import { isMessageRow, type MessageRow, ReadMessage } from './message-row.ts'

/** By hand: there may be hundreds in an answer, and a schema costs more than all else that is done to read one. */
const messages = z.custom<readonly MessageRow[]>((rows) => Array.isArray(rows) && rows.every(isMessageRow), {
  error: 'one of the messages lacks something',
})

export const breaker = z.object({
  state: z.enum(['open', 'half_open']),
  reason: z.string(),
  trips: z.number(),
}) satisfies z.ZodType<Breaker>

const queueState = z
  .object({
    queue: z.string(),
    status: z.enum(['ok', 'paused', 'missing', 'error', 'limited', 'breaker_open', 'breaker_half_open']),
    next_visible_in_ms: z.number().nullable(),
    error: z.string().nullable(),
    breaker: breaker.nullish(),
  })
  .transform((row) => ({
    queue: row.queue,
    status: row.status,
    nextVisibleInMs: row.next_visible_in_ms,
    ...(row.error === null ? {} : { error: row.error }),
    ...(row.breaker ? { breaker: row.breaker } : {}),
  }))

export const readRows = z.object({
  messages: messages.transform((rows) => rows.map((row) => new ReadMessage(row))),
  queues: z.array(queueState),
}) satisfies z.ZodType<ReadResult>

export const settleRows = z.array(
  z.object({
    status: z.enum(['ok', 'already', 'gone', 'lost', 'rejected']),
    error: z.string().exactOptional(),
  }),
) satisfies z.ZodType<SettleResult[]>

export const exchangeRows = z.object({ settled: settleRows, read: readRows })

export const extendRows = z.array(z.boolean())

export const sendRows = z.array(
  z
    .object({ msg_id: z.string(), duplicate: z.boolean() })
    .transform((row) => ({ msgId: row.msg_id, duplicate: row.duplicate })),
) satisfies z.ZodType<SendResult[]>

export const ledgerRow = z
  .discriminatedUnion('state', [
    z.object({ state: z.literal('new') }),
    z.object({ state: z.literal('done'), result: z.unknown() }),
    z.object({ state: z.literal('uncertain'), started_at: z.string() }),
  ])
  .transform(
    (row): LedgerState =>
      row.state === 'uncertain'
        ? { state: row.state, startedAt: row.started_at }
        : row.state === 'done'
          ? { state: row.state, result: row.result }
          : row,
  )

export const statusRow = z
  .object({
    protocol: z.number(),
    migration: z.string(),
    pgmq_version: z.string().nullable(),
    postgres_version: z.string(),
    headers: z.boolean(),
    role: z.string(),
  })
  .transform(
    (row): DatabaseStatus => ({
      protocol: row.protocol,
      migration: row.migration,
      pgmqVersion: row.pgmq_version,
      postgresVersion: row.postgres_version,
      headers: row.headers,
      role: row.role,
    }),
  )

/** What may keep the messages of a queue from being read, in answers about queues. */
export const heldFields = {
  paused: z.boolean(),
  rate_limit: z
    .object({ max_messages: z.number(), period_seconds: z.number(), left: z.number() })
    .transform(({ max_messages, period_seconds, left }) => ({
      ...{ maxMessages: max_messages, periodSeconds: period_seconds, left },
    }))
    .nullable(),
  breaker: breaker.nullable(),
}

export const countRows = z.array(
  z
    .object({
      queue: z.string(),
      ready: z.number(),
      hidden: z.number(),
      dead: z.number(),
      oldest_ready_seconds: z.number().nullable(),
      ...heldFields,
    })
    .transform(
      ({ oldest_ready_seconds, rate_limit, ...row }): QueueCounts => ({
        ...row,
        oldestReadySeconds: oldest_ready_seconds,
        rateLimit: rate_limit,
      }),
    ),
)

export const beatRow = z.object({ drain: z.boolean() })
