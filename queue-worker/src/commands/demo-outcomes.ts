/** What became of the demo's messages: asked of the database and the mail folder, as anybody could. */
import { readdir, readFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import type { Sql } from 'postgres'
import { sleep } from '../utils/sleep.ts'
import type { DemoMessage } from './demo-messages.ts'

export type Sent = DemoMessage & { readonly id: string }

export type DemoResult = {
  readonly message: string
  readonly id: string
  readonly happened: string
  readonly attempts: number
  readonly ms: number
  /** The mail that was sent, seen from the working folder. */
  readonly mail: string | null
  /** Why it became a dead letter, and the query that shows it. */
  readonly error: string | null
  readonly query: string | null
}

type Row = {
  id: string
  state: 'archived' | 'dead'
  attempts: number
  ms: number
  reason: string | null
  error: string | null
  origin_key: string
}

/** So much longer than it takes that only something broken takes it. */
const LIMIT_MS = 60_000

/** False when the limit passed, or the signal came, before all of them had ended. */
export async function untilEnded(
  sql: Sql,
  queue: string,
  sent: readonly Sent[],
  interrupted: AbortSignal,
): Promise<boolean> {
  const giveUpMs = performance.now() + LIMIT_MS
  for (;;) {
    if ((await ended(sql, queue, sent)).length === sent.length) return true
    if (interrupted.aborted || performance.now() > giveUpMs) return false
    await sleep(100, interrupted)
  }
}

export async function whatBecameOf(
  sql: Sql,
  queue: string,
  sent: readonly Sent[],
  mailDirectory: string,
  cwd: string,
): Promise<DemoResult[]> {
  const rows = await ended(sql, queue, sent)
  const mails = await mailFiles(mailDirectory)
  return sent.map(({ id, title }): DemoResult => {
    const row = rows.find((one) => one.id === id)
    const nothing = { message: title, id, attempts: 0, ms: 0, mail: null, error: null, query: null }
    if (row === undefined) return { ...nothing, happened: 'not finished' }
    const known = { ...nothing, attempts: row.attempts, ms: Math.round(row.ms) }
    if (row.state === 'dead') {
      const query = `select message from pgmq.q_${queue}_dlq where message @> '{"dead_letter": {"msg_id": ${id}}}'`
      return { ...known, happened: `dead letter: ${row.reason}`, error: firstLines(row.error), query }
    }
    const mail = mails.find(({ text }) => text.includes(row.origin_key))
    return { ...known, happened: 'sent, archived', mail: mail ? relative(cwd, mail.path) : null }
  })
}

/** Where each message ended. */
function ended(sql: Sql, queue: string, sent: readonly Sent[]): Promise<Row[]> {
  const ids = sent.map((message) => message.id)
  return sql<Row[]>`
    select a.msg_id::text as id, 'archived' as state, null as reason, null as error,
      1 + (select count(*)::int from queue_worker.outcomes o where o.queue = ${queue} and o.msg_id = a.msg_id
        and o.enqueued_at = a.enqueued_at and o.outcome = 'retry') as attempts,
      extract(epoch from a.archived_at - a.enqueued_at)::float8 * 1000 as ms,
      queue_worker.origin_key(${queue}, a.msg_id, a.enqueued_at) as origin_key
    from pgmq.${sql(`a_${queue}`)} a where a.msg_id = any (${ids}::bigint[])
    union all
    select l ->> 'msg_id', 'dead', l ->> 'reason', l ->> 'error', (l ->> 'attempts')::int,
      extract(epoch from (l ->> 'dead_at')::timestamptz - (l ->> 'enqueued_at')::timestamptz)::float8 * 1000, l ->> 'origin_key'
    from (select d.message -> 'dead_letter' as l from pgmq.${sql(`q_${queue}_dlq`)} d) d
    where (l ->> 'msg_id')::bigint = any (${ids}::bigint[])`
}

async function mailFiles(directory: string): Promise<{ path: string; text: string }[]> {
  const names = (await readdir(directory)).filter((name) => name.endsWith('.eml'))
  const paths = names.map((name) => join(directory, name))
  return Promise.all(paths.map(async (path) => ({ path, text: await readFile(path, 'utf8') })))
}

/** Without the places in our code. */
function firstLines(text: string | null): string {
  const lines = (text ?? '').split('\n').filter((line) => !line.startsWith('    at '))
  return shorten(lines.slice(0, 2).join(' '), 150)
}

export function shorten(text: string, length = 70): string {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text
}
