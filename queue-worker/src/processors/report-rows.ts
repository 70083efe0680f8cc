/**
 * The rows of a report that was started, page by page, all of one moment: over a direct connection from a cursor in a
 * read-only transaction, over RPC from pages that one call has made.
 */
import type { TransactionSql } from 'postgres'
import { ConnectionFailure } from '../errors.ts'
import type { Transport } from '../queue/contract.ts'
import { PROTOCOL } from '../queue/queue.ts'
import { unlessAborted } from '../utils/unless-aborted.ts'
import { createReportRecords, type RunOf } from './report-records.ts'

export type RowsOptions = {
  readonly transport: Pick<Transport, 'call' | 'transaction'>
  /** The report itself may run this long; the server ends it then. */
  readonly statementTimeoutMs: number
}

/** Takes rows as JSON arrays of texts with commas between. */
export type TakePage = (lines: string) => Promise<void>

/** Small where it costs nothing, so that no page lives long enough to become old garbage; over HTTP fewer, larger ones. */
const CURSOR_BYTES = 65_536
const PAGE_BYTES = 250_000

/** Throws ConnectionFailure, what `take` throws, or the signal's reason. */
export async function readRows(
  of: RunOf,
  options: RowsOptions,
  signal: AbortSignal,
  take: TakePage,
): Promise<void> {
  const { transport, statementTimeoutMs } = options
  const reading = transport.transaction
    ? transport.transaction((sql) => fromCursor(sql, of, statementTimeoutMs, signal, take))
    : fromPages(of, transport.call, signal, take)
  // The server does not hear of an abort; its own time limit ends what still runs there.
  await unlessAborted(reading, signal).catch((error: unknown) => {
    if (!isTimeout(error)) throw error
    const limit = `${statementTimeoutMs} ms (REPORTS_STATEMENT_TIMEOUT_MS; over RPC at most 10 minutes)`
    throw new Error(`the report did not end within its time limit of ${limit}`, { cause: error })
  })
}

/** What is thrown in a transaction arrives as the database said it. */
function isTimeout(error: unknown): boolean {
  if (error instanceof ConnectionFailure) return error.kind === 'timeout'
  return error instanceof Error && Reflect.get(error, 'code') === '57014'
}

async function fromCursor(
  sql: TransactionSql,
  { originKey, run }: RunOf,
  timeoutMs: number,
  signal: AbortSignal,
  take: TakePage,
): Promise<void> {
  const request = JSON.stringify({ protocol: PROTOCOL, origin_key: originKey, run, page_bytes: CURSOR_BYTES })
  await sql.unsafe('set transaction read only')
  await sql.unsafe(`set local statement_timeout = ${Math.ceil(timeoutMs)}`)
  await sql.unsafe(
    'declare report_rows no scroll cursor for select lines from public.queue_worker_report_rows($1::text::jsonb) as lines',
    [request],
  )
  for (;;) {
    signal.throwIfAborted()
    // The first of these runs the report; the server keeps its rows, on disk where they are many.
    const [page] = await sql.unsafe<{ lines: string }[]>('fetch next from report_rows')
    if (page === undefined) return
    await take(page.lines)
  }
}

async function fromPages(
  of: RunOf,
  call: Transport['call'],
  signal: AbortSignal,
  take: TakePage,
): Promise<void> {
  const records = createReportRecords(call)
  const { pages } = await records.open(of, PAGE_BYTES)
  for (let number = 0; number < pages; number += 1) {
    signal.throwIfAborted()
    const page = await records.page(of, number)
    // Another run of the message removed them, or the database was restarted after a crash: the table is not logged.
    if (page === null)
      throw new Error(`page ${number} of the report's rows is gone; the report has to run again`)
    await take(page.lines)
  }
  // Left to the next report when it fails: the rows are in the file.
  await records.close(of).catch(() => {})
}
