/** What a chart shows, out of a report's rows, and the scale it needs. Pure. */
import type { Chart, Column, Row } from './job.ts'

export type Series = { readonly name: string; readonly values: readonly number[] }
export type ChartData = { readonly labels: readonly string[]; readonly series: readonly Series[] }

/** The sums for each label, in the order in which labels come first. What is no number counts as 0. */
export function chartData(chart: Chart, columns: readonly Column[], rows: readonly Row[]): ChartData {
  const place = (name: string) => columns.findIndex((column) => column.name === name)
  const label = place(chart.label)
  const values = chart.values.map(place)
  const sums = new Map<string, number[]>()
  for (const row of rows) {
    const key = row[label] ?? '–'
    const sum = sums.get(key) ?? values.map(() => 0)
    for (const [at, column] of values.entries()) {
      const value = Number(row[column])
      sum[at] = (sum[at] ?? 0) + (Number.isFinite(value) ? value : 0)
    }
    sums.set(key, sum)
  }
  const all = [...sums.values()]
  return {
    labels: [...sums.keys()],
    series: chart.values.map((name, at) => ({
      name: name.replaceAll('_', ' '),
      values: all.map((sum) => sum[at] ?? 0),
    })),
  }
}

/** Round numbers from at most the least to at least the greatest value, about five of them, 0 among them. */
export function ticks(values: readonly number[]): number[] {
  const low = Math.min(0, ...values)
  const high = Math.max(0, ...values)
  const span = high - low
  if (span === 0) return [0, 1]
  const power = 10 ** Math.floor(Math.log10(span / 4))
  const step = power * ([1, 2, 5, 10].find((factor) => factor * power * 4 >= span) ?? 10)
  const first = Math.floor(low / step)
  const last = Math.max(first + 1, Math.ceil(high / step))
  return Array.from({ length: last - first + 1 }, (_, at) => (first + at) * step)
}

/** Numbers for an axis, all in one unit, short enough to stand beside it: "0", "5k", "10k". */
export function axisLabels(values: readonly number[]): string[] {
  const most = Math.max(...values.map(Math.abs))
  const [unit, name] =
    most >= 1e9 ? [1e9, 'G'] : most >= 1e6 ? [1e6, 'M'] : most >= 1e4 ? [1000, 'k'] : [1, '']
  return values.map((value) => (value === 0 ? '0' : `${Number((value / unit).toPrecision(6))}${name}`))
}
