/** What a report says of itself: the comment on its function, and the values its parameters have. */
import type { Chart, Column } from '../reports/job.ts'

export type About = {
  readonly title: string
  /** Lines below the title: what it is about, the period, the other parameters, the time zone. */
  readonly lines: readonly string[]
  readonly chart: Chart | null
}

type Given = {
  readonly report: string
  readonly title: string | undefined
  readonly comment: string | null
  readonly params: Readonly<Record<string, string | null>>
  readonly timeZone: string
  readonly columns: readonly Column[]
}

/**
 * The comment's first line is the title of a report whose message gives none; a line "chart: bar day sent failed" asks for
 * a chart (bar or line; the column of the labels; the columns of the values); the others say what it is about. The parameters
 * `since` and `until` are its period.
 */
export function aboutReport({ report, title, comment, params, timeZone, columns }: Given): About {
  const said = (comment ?? '')
    .split('\n')
    .map((line) => line.replace(/\s+/g, ' ').trim().slice(0, 500))
    .filter((line) => line !== '')
  const plain = said.filter((line) => !CHART.test(line))
  const { since, until, ...others } = params
  const rest = Object.entries(others)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => `${name.replaceAll('_', ' ')}: ${value}`)
  return {
    title: title ?? plain[0] ?? report.replaceAll('_', ' '),
    lines: [...plain.slice(1), ...period(since, until), ...rest, `Time zone: ${timeZone}`],
    chart: said.map((line) => chartOf(line, columns)).find((chart) => chart !== null) ?? null,
  }
}

const CHART = /^chart:\s*(bar|line)\s+(.+)$/i

/** Null also when it names a column that is not there: a file without a chart is better than none. */
function chartOf(line: string, columns: readonly Column[]): Chart | null {
  const [, kind, rest = ''] = CHART.exec(line) ?? []
  if (kind === undefined) return null
  const [label, ...values] = rest.split(/[\s,]+/).filter((name) => name !== '')
  const known = new Set(columns.map(({ name }) => name))
  if (label === undefined || values.length === 0 || ![label, ...values].every((name) => known.has(name)))
    return null
  return { kind: kind.toLowerCase() === 'bar' ? 'bar' : 'line', label, values }
}

function period(since: string | null | undefined, until: string | null | undefined): string[] {
  if (since && until) return [since === until ? `Period: ${since}` : `Period: ${since} – ${until}`]
  if (since) return [`Period: since ${since}`]
  return until ? [`Period: until ${until}`] : []
}
