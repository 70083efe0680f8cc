/** The records of reports in the database, over any transport. See "Entry points" in docs/sql.md. */
import { z } from 'zod'
import type { Transport } from '../queue/contract.ts'
import { asker } from '../queue/queue.ts'
import type { ReportPayload } from './report-payload.ts'

/** One try of one message. */
export type RunOf = { readonly originKey: string; readonly run: string }

/** A file that is in its place. */
export type Finished = {
  readonly rows: number
  readonly bytes: number
  readonly sha256: string
  readonly location: string
  readonly title: string | null
}

const columns = z.array(z.object({ name: z.string(), type: z.string() }))
const params = z.record(z.string(), z.string().nullable())
const started = z.discriminatedUnion('state', [
  z.object({ state: z.literal('running'), columns, params, about: z.string().nullable() }),
  z.object({
    state: z.literal('done'),
    rows: z.number(),
    bytes: z.number(),
    sha256: z.string(),
    location: z.string(),
    title: z.string().nullable(),
  }),
  z.object({ state: z.literal('refused'), error: z.string() }),
])
const page = z.object({ lines: z.string() }).nullable()
const opened = z.object({ pages: z.number() })

/** running: go on. done: an earlier run made the file. refused: there is no such report, or not with these parameters. */
export type Started = z.infer<typeof started>
export type Running = Extract<Started, { state: 'running' }>

/** Its functions throw ConnectionFailure. */
export function createReportRecords(call: Transport['call']) {
  const ask = asker(call)
  const named = ({ originKey, run }: RunOf) => ({ origin_key: originKey, run })

  return {
    /** `again`: also when there is a file already. */
    start: (of: RunOf, asked: ReportPayload & { timeZone: string }, again: boolean): Promise<Started> => {
      const { report, params: given, format, title, timeZone } = asked
      const request = { report, params: given, format, title: title ?? null, time_zone: timeZone, again }
      return ask('report_start', { ...named(of), ...request }, started)
    },
    /** False when another run has begun since. */
    finish: (of: RunOf, file: Finished): Promise<boolean> =>
      ask('report_finish', { ...named(of), ...file }, z.boolean()),
    fail: (of: RunOf, error: string): Promise<boolean> =>
      ask('report_fail', { ...named(of), error }, z.boolean()),
    open: (of: RunOf, pageBytes: number) =>
      ask('report_open', { ...named(of), page_bytes: pageBytes }, opened),
    page: (of: RunOf, number: number) => ask('report_page', { run: of.run, page: number }, page),
    close: async (of: RunOf): Promise<void> => void (await ask('report_close', { run: of.run }, z.unknown())),
  }
}
