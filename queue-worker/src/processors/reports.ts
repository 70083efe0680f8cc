/** The processor of the queue `reports`. What it promises stands in docs/processors/reports.md. */
import { randomUUID } from 'node:crypto'
import {
  coerceError,
  LeaseLostError,
  OutageError,
  RetryAfterError,
  TimeLimitError,
  UnrecoverableError,
} from '../errors.ts'
import { DoesNotFitError } from '../reports/job.ts'
import { StorageError } from '../services/storage.ts'
import { defineProcessor, type Processor, type ProcessorContext } from './define.ts'
import { reportMail } from './report-mail.ts'
import { type Making, makeReport } from './report-make.ts'
import { contentTypeOf, fileNameOf } from './report-name.ts'
import { type ReportPayload, reportPayload } from './report-payload.ts'
import { createReportRecords, type Finished } from './report-records.ts'
import { FIVE_DAYS_SECONDS, unlessTooOld } from './server-wait.ts'

export type ReportsOptions = Making & {
  /** For reports whose message names none, as PostgreSQL calls it: "Europe/Moscow". */
  readonly timeZone: string
  /** Larger files go into a mail as a link. */
  readonly attachBytes: number
  readonly linkSeconds: number
  /** Default `reports`. */
  readonly queue?: string | undefined
  /** Where mails are sent to; default `email_queue`. */
  readonly emailQueue?: string | undefined
  /** Closes the connection. */
  close?(): Promise<void>
}

/** Each needs some 30 MB, and keeps a connection busy. */
export const REPORTS_AT_ONCE = 2

export function reportsProcessor(options: ReportsOptions): Processor<ReportPayload> {
  const { connect, storage } = options
  const records = createReportRecords((entryPoint, request) => connect().call(entryPoint, request))
  return defineProcessor({
    queue: options.queue ?? 'reports',
    payload: reportPayload,
    concurrency: REPORTS_AT_ONCE,
    timeoutMs: 30 * 60 * 1000,
    // A storage that is down needs minutes, not seconds.
    maxAttempts: 8,
    backoff: { baseSeconds: 15, maxSeconds: 1800 },
    async close() {
      await Promise.all([options.close?.(), storage.close()])
    },
    async process(payload, context) {
      const of = { originKey: context.originKey, run: randomUUID() }
      const asked = { ...payload, timeZone: payload.timeZone ?? options.timeZone }
      const name = fileNameOf(payload, context.originKey)
      try {
        let started = await records.start(of, asked, false)
        // Made by an earlier delivery, and gone since: made once more.
        if (started.state === 'done' && (await storage.size(name)) !== started.bytes) {
          started = await records.start(of, asked, true)
        }
        if (started.state === 'refused') throw new UnrecoverableError(started.error)
        const file =
          started.state === 'done' ? started : await makeReport(of, asked, started, name, context, options)
        await deliver(payload, file, name, context, options)
      } catch (thrown) {
        const error = coerceError(unlessTooOld(decided(thrown), context, FIVE_DAYS_SECONDS))
        // Somebody else goes on with it, or this worker does later: it has not failed.
        const goesOn = context.signal.aborted && !(context.signal.reason instanceof TimeLimitError)
        if (!goesOn && !(error instanceof LeaseLostError)) {
          await records.fail(of, error.message).catch(() => {})
        }
        throw error
      }
    },
  })
}

/** The mail commits together with this message's success, and its key keeps a redriven message from sending another. */
async function deliver(
  payload: ReportPayload,
  file: Finished,
  name: string,
  context: ProcessorContext,
  { storage, attachBytes, linkSeconds, emailQueue = 'email_queue' }: ReportsOptions,
): Promise<void> {
  if (payload.deliver === undefined) return
  const isSmall = file.bytes <= attachBytes
  const mail = reportMail({
    delivery: payload.deliver,
    title: file.title ?? payload.report.replaceAll('_', ' '),
    fileName: `${payload.report}.${payload.format}`,
    contentType: contentTypeOf(payload.format),
    rows: file.rows,
    bytes: file.bytes,
    content: isSmall ? await storage.read(name) : null,
    link: isSmall ? null : await storage.link(name, linkSeconds),
    linkSeconds,
  })
  context.send(emailQueue, mail, { idempotencyKey: `report-${context.originKey}` })
}

/** What an error means for the message: whether the same again can ever work, and when. */
function decided(thrown: unknown): Error {
  const error = coerceError(thrown)
  if (error instanceof DoesNotFitError) return new UnrecoverableError(error.message, { cause: error })
  if (!(error instanceof StorageError)) return error
  if (error.final) return new UnrecoverableError(error.message, { cause: error })
  const { retryAfterSeconds } = error
  if (error.isOutage) return new OutageError(error.message, { cause: error, retryAfterSeconds })
  if (retryAfterSeconds === undefined) return error
  return new RetryAfterError(retryAfterSeconds, error.message, { cause: error })
}
