/**
 * A call of an entry point as the statement that costs the server least. Reads come as rows, and what has succeeded in one
 * queue is settled as arrays: for the same answers that JSON would give. Everything else is one call with JSON.
 */
import type { Row } from 'postgres'
import { functionName } from '../entry-point.ts'

export type Statement = {
  readonly text: string
  readonly params: string[]
  /** What its rows say, in the form of the entry point's JSON. */
  answer(rows: readonly Row[]): unknown
}

type Settlement = {
  readonly queue: string
  readonly outcome: string
  readonly msg_id: string
  readonly delivery: number
  readonly enqueued_at: string
  readonly ran_ms?: number | undefined
  readonly waited_ms?: number | undefined
  readonly sends?: readonly unknown[] | undefined
}

export function statementFor(entryPoint: string, request: unknown): Statement {
  if (entryPoint === 'read') return readStatement(request)
  if (entryPoint === 'settle' && isPlainSettle(request)) return finishStatement(request)
  return jsonStatement(entryPoint, request)
}

export function jsonStatement(entryPoint: string, request: unknown): Statement {
  return {
    // As text and cast here: postgres.js would have its own ideas of arrays and strings.
    text: `select public.${functionName(entryPoint)}($1::text::jsonb) as answer`,
    params: [json(request)],
    answer: (rows) => rows[0]?.answer,
  }
}

function readStatement(request: unknown): Statement {
  return {
    text: 'select * from public.queue_worker_read_rows($1::text::jsonb)',
    params: [json(request)],
    answer(rows) {
      const queues = rows.flatMap((row) => row.state ?? [])
      const failed = new Set(queues.filter(({ status }) => status !== 'ok').map(({ queue }) => queue))
      const messages = rows.filter(({ state, queue }) => state === null && !failed.has(queue))
      return { queues, messages }
    },
  }
}

type PlainSettle = {
  readonly protocol: unknown
  readonly worker_id: unknown
  readonly settlements: readonly [Settlement, ...Settlement[]]
}

/** Whether all of it succeeded in one queue; whatever is odd about a request is for the JSON call to say. */
function isPlainSettle(request: unknown): request is PlainSettle {
  const { settlements } = request as { settlements?: readonly Settlement[] }
  if (!Array.isArray(settlements)) return false
  const [first] = settlements
  return (
    (first?.outcome === 'archive' || first?.outcome === 'delete') &&
    settlements.every(
      (one) =>
        one.queue === first.queue &&
        one.outcome === first.outcome &&
        !one.sends?.length &&
        /^\d{1,18}$/.test(one.msg_id) &&
        Number.isInteger(one.delivery) &&
        typeof one.enqueued_at === 'string',
    )
  )
}

function finishStatement({ protocol, worker_id, settlements }: PlainSettle): Statement {
  const list = (of: (one: Settlement) => unknown) => `{${settlements.map(of).join()}}`
  const [{ queue, outcome }] = settlements
  return {
    text: `select public.queue_worker_finish($1::text::jsonb, $2::text::bigint[], $3::text::int[],
      $4::text::timestamptz[], $5::text::float8[], $6::text::float8[]) as answer`,
    params: [
      json({ protocol, worker_id, queue, outcome }),
      list((one) => one.msg_id),
      list((one) => one.delivery),
      list((one) => JSON.stringify(one.enqueued_at)),
      list((one) => one.ran_ms ?? 'null'),
      list((one) => one.waited_ms ?? 'null'),
    ],
    answer([row]) {
      return row?.answer === null ? settlements.map(() => OK) : row?.answer
    },
  }
}

const OK = { status: 'ok' }

function json(value: unknown): string {
  return JSON.stringify(value) ?? 'null'
}
