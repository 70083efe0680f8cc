/** Metrics as the text that Prometheus reads (exposition format 0.0.4). Pure; knows nothing of what they mean. */
import type { HistogramNumbers } from './histogram.ts'

export type Labels = Readonly<Record<string, string>>

export type Family = {
  readonly name: string
  readonly help: string
} & (
  | { readonly type: 'gauge' | 'counter'; readonly samples: readonly (readonly [Labels, number])[] }
  | { readonly type: 'histogram'; readonly samples: readonly (readonly [Labels, HistogramNumbers])[] }
)

export const PROMETHEUS_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

/** A family without samples is left out. */
export function prometheusText(families: readonly Family[]): string {
  return families
    .filter((family) => family.samples.length > 0)
    .map((family) => `${[...head(family), ...lines(family)].join('\n')}\n`)
    .join('')
}

function head({ name, help, type }: Family): string[] {
  const escaped = help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
  return [`# HELP ${name} ${escaped}`, `# TYPE ${name} ${type}`]
}

function lines(family: Family): string[] {
  const { name } = family
  if (family.type !== 'histogram') return family.samples.map(([labels, value]) => line(name, labels, value))
  return family.samples.flatMap(([labels, { bounds, counts, count, sum }]) => {
    let upTo = 0
    const buckets = counts.map((own, place) => {
      upTo += own
      return line(
        `${name}_bucket`,
        { ...labels, le: number(bounds[place] ?? Number.POSITIVE_INFINITY) },
        upTo,
      )
    })
    return [...buckets, line(`${name}_sum`, labels, sum), line(`${name}_count`, labels, count)]
  })
}

function line(name: string, labels: Labels, value: number): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escapeLabel(text)}"`)
  return `${name}${pairs.length > 0 ? `{${pairs.join(',')}}` : ''} ${number(value)}`
}

function escapeLabel(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}

function number(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf'
  return value === Number.NEGATIVE_INFINITY ? '-Inf' : String(value)
}
