/** PDF: title, what it is about, a chart where the report asks for one, and the table. Made at the end, from all rows. */
import { chartData } from './chart-data.ts'
import { isNumber, kindOf } from './columns.ts'
import { DoesNotFitError, type Renderer, type RenderJob, type Row, type Sink } from './job.ts'
import { drawChart } from './pdf-chart.ts'
import { bottomOf, COLOURS, type Doc, drawFoot, line, MARGIN, newDocument, widthOf } from './pdf-page.ts'
import { drawRows, type Layout, layoutOf, measure, naturalWidths, paginate, shownText } from './pdf-table.ts'
import { fitWidths } from './pdf-widths.ts'

/** Nobody reads more, and all of it is kept in memory. */
const MAX_ROWS = 10_000
const CHART_HEIGHT = 190
const SIZES = [8.5, 7.5, 6.5]

export async function startPdf(job: RenderJob, sink: Sink): Promise<Renderer> {
  const kept: Row[] = []
  return {
    async write(rows) {
      if (kept.length + rows.length > MAX_ROWS) {
        throw new DoesNotFitError(
          `the report has more than ${MAX_ROWS} rows, the most a PDF takes; ask for less of it, or use xlsx or csv`,
        )
      }
      kept.push(...rows)
    },
    async end() {
      const { doc, layout } = choose(job, kept)
      draw(doc, layout, job, kept)
      doc.end()
      for await (const chunk of doc) await sink.write(chunk)
    },
  }
}

function draw(doc: Doc, layout: Layout, job: RenderJob, rows: readonly Row[]): void {
  doc.addPage()
  let y = drawHead(doc, job)
  if (job.chart !== null && rows.length > 0) {
    const data = chartData(job.chart, job.columns, rows)
    drawChart(doc, job.chart.kind, data, { x: MARGIN, y, width: widthOf(doc), height: CHART_HEIGHT })
    y += CHART_HEIGHT + 16
  }
  const texts = rows.map((row) => job.columns.map(({ type }, at) => shownText(row[at] ?? null, type)))
  const table = measure(doc, layout, texts)
  const pages = paginate(table, y, bottomOf(doc))
  let row = 0
  for (const [page, count] of pages.entries()) {
    if (page > 0) doc.addPage()
    const end = drawRows(doc, table, row, count, page === 0 ? y : MARGIN)
    if (rows.length === 0) {
      doc.font('plain').fontSize(9).fillColor(COLOURS.quiet)
      line(doc, 'No rows.', MARGIN + 5, end + 8, widthOf(doc))
    }
    drawFoot(doc, job.title, page + 1, pages.length)
    row += count
  }
}

/** Upright where the table fits so, else across, else across in smaller letters. */
function choose(job: RenderJob, rows: readonly Row[]): { doc: Doc; layout: Layout } {
  const isFixed = job.columns.map(({ type }) => {
    const kind = kindOf(type)
    return (
      isNumber(kind) ||
      kind === 'date' ||
      kind === 'timestamp' ||
      kind === 'timestamptz' ||
      kind === 'boolean'
    )
  })
  const probe = newDocument(job.title, 'portrait', job.fontFile)
  probe.addPage()
  const widthsAt = (size: number) => {
    const natural = naturalWidths(probe, job.columns, rows, size)
    const least = natural.reduce((sum, width, at) => sum + (isFixed[at] ? width : Math.min(width, 110)), 0)
    return { size, natural, least }
  }
  const [first = 8, ...smaller] = SIZES
  let widths = widthsAt(first)
  const layout = widths.least <= widthOf(probe) ? 'portrait' : 'landscape'
  const available = (layout === 'portrait' ? probe.page.width : probe.page.height) - 2 * MARGIN
  for (const size of smaller) if (widths.least > available) widths = widthsAt(size)
  const doc = newDocument(job.title, layout, job.fontFile)
  return { doc, layout: layoutOf(job.columns, fitWidths(widths.natural, isFixed, available), widths.size) }
}

function drawHead(doc: Doc, job: RenderJob): number {
  doc.font('bold').fontSize(17).fillColor(COLOURS.text)
  doc.text(job.title, MARGIN, MARGIN, { width: widthOf(doc) })
  doc.font('plain').fontSize(9).fillColor(COLOURS.quiet)
  let y = doc.y + 4
  // More would leave no room for the table.
  for (const text of job.lines.slice(0, 12)) {
    doc.text(text, MARGIN, y, { width: widthOf(doc), height: 60, ellipsis: true })
    y = doc.y + 2
  }
  return y + 12
}
