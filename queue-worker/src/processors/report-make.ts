/** Makes the file of a report: rows from the database into a rendering thread, its file into the storage, its record. */
import { LeaseLostError } from '../errors.ts'
import type { Transport } from '../queue/contract.ts'
import type { RenderJob } from '../reports/job.ts'
import { startRendering } from '../reports/rendering.ts'
import type { FileStorage } from '../services/storage.ts'
import { youngGarbageWatch } from '../utils/garbage.ts'
import { unlessAborted } from '../utils/unless-aborted.ts'
import type { ProcessorContext } from './define.ts'
import { aboutReport } from './report-about.ts'
import { contentTypeOf } from './report-name.ts'
import type { ReportPayload } from './report-payload.ts'
import { createReportRecords, type Finished, type Running, type RunOf } from './report-records.ts'
import { readRows } from './report-rows.ts'

export type Making = {
  /** The same at each call. */
  connect(): Pick<Transport, 'call' | 'transaction'>
  readonly storage: FileStorage
  readonly statementTimeoutMs: number
  readonly csv: RenderJob['csv']
  /** A TrueType font for PDF instead of the one that comes with the product. */
  readonly fontFile?: string | undefined
}

/** Characters of rows. */
const COLLECT_EVERY = 4_000_000
const COLLECT_YOUNG_EVERY = 1_000_000

/** Resolves when the file is in its place and recorded. Throws what is in the way; what was begun is removed. */
export async function makeReport(
  of: RunOf,
  asked: ReportPayload & { readonly timeZone: string },
  { columns, params, about: comment }: Running,
  name: string,
  { signal }: Pick<ProcessorContext, 'signal'>,
  { connect, storage, statementTimeoutMs, csv, fontFile }: Making,
): Promise<Finished> {
  const transport = connect()
  const { report, format, timeZone } = asked
  const about = aboutReport({ report, title: asked.title, comment, params, timeZone, columns })
  const path = await storage.begin(name)
  const rendering = startRendering({ format, path, columns, ...about, csv, fontFile })
  const garbage = youngGarbageWatch(COLLECT_EVERY, COLLECT_YOUNG_EVERY)
  try {
    await readRows(of, { transport, statementTimeoutMs }, signal, async (lines) => {
      await rendering.write(lines)
      garbage.passed(lines.length)
    })
    const { rows, bytes, sha256 } = await unlessAborted(rendering.end(), signal)
    signal.throwIfAborted()
    const location = await storage.publish(path, name, contentTypeOf(format))
    const file = { rows, bytes, sha256, location, title: about.title }
    if (await createReportRecords(transport.call).finish(of, file)) return file
    throw new LeaseLostError('another run of this report has begun')
  } finally {
    garbage.end()
    // In this order: what the thread still writes would come back. After a success there is nothing at the path.
    await rendering.stop()
    await storage.discard(path)
  }
}
