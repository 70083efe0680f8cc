/** One report, and its file: read from the folder it is kept in, or by a link of the storage that holds it. */
import { basename } from 'node:path'
import { coerceError } from '../../errors.ts'
import type { Related } from '../../queue/dashboard.ts'
import { type Asked, type Page, PageError, type Reply } from '../asked.ts'
import { bytes, count, moment } from '../format.ts'
import { type Html, html } from '../html.ts'
import { fact } from './queue-head.ts'
import { reportState } from './reports.ts'

/** How long a link of the storage leads there. */
const LINK_SECONDS = 60
/** What a browser shows without running anything of it. */
const SHOWN: Readonly<Record<string, string>> = {
  csv: 'text/plain; charset=utf-8',
  json: 'text/plain; charset=utf-8',
  pdf: 'application/pdf',
}
/** A viewer of PDFs does not run in a sandbox. */
const PDF_POLICY = "default-src 'none'; object-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'none'"

export const reportPage: Page = {
  pattern: /^\/reports\/([^/]+)$/,
  method: 'GET',
  role: 'viewer',
  async answer(asked) {
    const report = await find(asked)
    return { kind: 'page', title: report.title ?? report.report, body: reportBody(report, asked) }
  },
}

export const reportFilePage: Page = {
  pattern: /^\/reports\/([^/]+)\/file$/,
  method: 'GET',
  role: 'viewer',
  async answer(asked) {
    if (asked.visitor.role !== 'operator')
      throw new PageError(
        403,
        'The files of reports are for operators.',
        'They may hold what is hidden from you elsewhere. Log in with a token of an operator (ADMIN_TOKEN).',
      )
    const report = await find(asked)
    if (report.location === null)
      throw new PageError(404, 'The report has no file yet.', 'It is there when the report is done.')
    // The folder of this worker is the only one read: the record's own path leads nowhere else.
    return fileOf(asked, basename(report.location), report.format)
  },
}

type Report = NonNullable<Related['report']>

async function find({ ground, found: [originKey = ''] }: Asked): Promise<Report> {
  const { report } = await ground.ask((queue) => queue.related(originKey))
  if (report === null)
    throw new PageError(404, 'There is no such report.', 'Reports lists those that were asked for.')
  return report
}

async function fileOf({ ground, query }: Asked, name: string, format: string): Promise<Reply> {
  const { reports } = ground
  if (!reports)
    throw new PageError(
      404,
      'This worker does not know where reports are kept.',
      'Set REPORTS_DIR or REPORTS_BUCKET here as for the worker that makes them.',
    )
  if (name.startsWith('.') || (await stored(reports.size(name))) === null)
    throw new PageError(
      404,
      'The file is not there.',
      'Another worker may have kept it in a folder of its own, or somebody removed it.',
    )
  const link = await stored(reports.link(name, LINK_SECONDS, { opens: !query.has('save') }))
  if (link !== null) return { kind: 'elsewhere', to: link }
  const body = await stored(reports.read(name))
  const shown = SHOWN[format]
  if (query.has('save') || shown === undefined)
    return { kind: 'file', type: 'application/octet-stream', body, saveAs: name }
  return { kind: 'file', type: shown, body, ...(format === 'pdf' ? { policy: PDF_POLICY } : {}) }
}

/** The storage may be away, or refuse: that is no mistake of ours. */
function stored<T>(answer: Promise<T>): Promise<T> {
  return answer.catch((error: unknown) => {
    throw new PageError(
      503,
      coerceError(error).message,
      'Try again; if it stays so, look at the settings of reports.',
    )
  })
}

function reportBody(report: Report, { base, visitor, found: [originKey = ''] }: Asked): Html {
  const { title, state, format, rows, bytes: size, finishedAt, location, error } = report
  const at = `${base}/reports/${encodeURIComponent(originKey)}/file`
  return html`<h1>${title ?? report.report} ${reportState(state)}</h1>
<dl class="facts">${fact('Report', html`<code>${report.report}</code>`)}${fact('Format', format)}${rows !== null && fact('Rows', count(rows))}${size !== null && fact('Size', bytes(size))}${fact('Finished', moment(finishedAt))}${location !== null && fact('Kept at', html`<span class="said mono">${location}</span>`)}${fact('Origin key', html`<span class="said mono">${originKey}</span>`)}</dl>
${error !== null && html`<p class="notice bad">${error}</p>`}
<p class="row">${location !== null && visitor.role === 'operator' && html`${Object.hasOwn(SHOWN, format) && html`<a class="button main" href="${at}">Open</a>`}<a class="button" href="${at}?save">Download</a>`}<a href="${base}/reports">All reports</a></p>`
}
