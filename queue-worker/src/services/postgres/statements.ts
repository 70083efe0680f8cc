/**
 * A call of an entry point as the statement that costs the server least. Reads come as rows, and what has succeeded in one
 * queue is settled as arrays: for the same answers that JSON would give. Everything else is one call with JSON.
 */
import type { Row } from 'postgres'
import { functionName } from '../entry-point.ts'
import { type PlainSettle, plainAnswer, plainSettle } from '../plain-settle.ts'

export type Statement = {
  readonly text: string
  readonly params: string[]
  /** What its rows say, in the form of the entry point's JSON. */
  answer(rows: readonly Row[]): unknown
}

export function statementFor(entryPoint: string, request: unknown): Statement {
  if (entryPoint === 'read') return readStatement(request)
  const plain = plainSettle(entryPoint, request)
  return plain === null ? jsonStatement(entryPoint, request) : finishStatement(plain)
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
      const failed = new Set(
        queues.filter(({ status }) => status === 'error' || status === 'missing').map(({ queue }) => queue),
      )
      const messages = rows.filter(({ state, queue }) => state === null && !failed.has(queue))
      return { queues, messages }
    },
  }
}

function finishStatement(plain: PlainSettle): Statement {
  const array = (elements: readonly unknown[]) => `{${elements.join()}}`
  const orNull = (numbers: readonly (number | null)[]) => array(numbers.map((one) => one ?? 'null'))
  return {
    text: `select public.queue_worker_finish($1::text::jsonb, $2::text::bigint[], $3::text::int[],
      $4::text::timestamptz[], $5::text::float8[], $6::text::float8[]) as answer`,
    params: [
      json(plain.request),
      array(plain.msg_ids),
      array(plain.deliveries),
      array(plain.enqueued_ats.map((at) => JSON.stringify(at))),
      orNull(plain.ran_ms),
      orNull(plain.waited_ms),
    ],
    answer: ([row]) => plainAnswer(plain, row?.answer),
  }
}

function json(value: unknown): string {
  return JSON.stringify(value) ?? 'null'
}
