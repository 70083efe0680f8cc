/** Reads the text exposition format as strictly as Prometheus would, and throws for whatever it would not take. */

export type Sample = {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}
export type Scrape = { readonly samples: readonly Sample[]; readonly types: ReadonlyMap<string, string> }

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/
const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\n"])*)"(?:,|$)/y

export function parsePrometheus(text: string): Scrape {
  if (!text.endsWith('\n')) throw new Error('the last line has no end')
  const types = new Map<string, string>()
  const helped = new Set<string>()
  const samples: Sample[] = []
  let current = ''
  for (const line of text.slice(0, -1).split('\n')) {
    const [, kind, name = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? []
    if (kind === 'HELP') {
      if (!NAME.test(name) || helped.has(name) || rest === '') throw new Error(`bad help: ${line}`)
      helped.add(name)
      current = name
    } else if (kind === 'TYPE') {
      if (name !== current || types.has(name) || !['counter', 'gauge', 'histogram'].includes(rest))
        throw new Error(`bad type: ${line}`)
      types.set(name, rest)
    } else samples.push(readSample(line, current, types.get(current)))
  }
  checkHistograms(samples, types)
  const keys = samples.map(({ name, labels }) => `${name} ${JSON.stringify(Object.entries(labels).sort())}`)
  if (new Set(keys).size !== keys.length) throw new Error('a series is there twice')
  return { samples, types }
}

function readSample(line: string, family: string, type: string | undefined): Sample {
  const [, name = '', inside, number = ''] = SAMPLE.exec(line) ?? []
  const own = type === 'histogram' ? ['_bucket', '_sum', '_count'].map((end) => family + end) : [family]
  if (type === undefined || !own.includes(name)) throw new Error(`not of the family ${family}: ${line}`)
  if (type === 'counter' && !name.endsWith('_total')) throw new Error(`a counter without _total: ${line}`)
  const value = number === '+Inf' ? Number.POSITIVE_INFINITY : Number(number)
  if (Number.isNaN(value)) throw new Error(`no number: ${line}`)
  const labels: Record<string, string> = {}
  LABEL.lastIndex = 0
  while (inside !== undefined && LABEL.lastIndex < inside.length) {
    const at = LABEL.lastIndex
    const [, label = '', text = ''] = LABEL.exec(inside) ?? []
    if (label === '' || label in labels) throw new Error(`bad labels after ${at}: ${line}`)
    labels[label] = text.replace(/\\(.)/g, (_, one) => (one === 'n' ? '\n' : one))
  }
  return { name, labels, value }
}

function checkHistograms(samples: readonly Sample[], types: ReadonlyMap<string, string>): void {
  for (const [family] of [...types].filter(([, type]) => type === 'histogram')) {
    const series = Map.groupBy(
      samples.filter(({ name }) => name.startsWith(family)),
      ({ labels: { le: _, ...labels } }) => JSON.stringify(labels),
    )
    for (const [labels, parts] of series) {
      const buckets = parts.filter(({ name }) => name === `${family}_bucket`)
      const bounds = buckets.map(({ labels: { le } }) =>
        le === '+Inf' ? Number.POSITIVE_INFINITY : Number(le),
      )
      const rises = (list: readonly number[]) =>
        list.every((one, at) => at === 0 || one >= (list[at - 1] ?? 0))
      if (!rises(bounds) || !rises(buckets.map(({ value }) => value)))
        throw new Error(`${family}${labels} falls`)
      const count = parts.find(({ name }) => name === `${family}_count`)?.value
      if (bounds.at(-1) !== Number.POSITIVE_INFINITY || buckets.at(-1)?.value !== count)
        throw new Error(`${family}${labels} has no bucket for all`)
      if (!parts.some(({ name }) => name === `${family}_sum`))
        throw new Error(`${family}${labels} has no sum`)
    }
  }
}

/** The value of the one series with these labels (and `le`, if it is a bucket); undefined when there is none. */
export function seriesOf(
  { samples }: Scrape,
  name: string,
  labels: Record<string, string> = {},
): number | undefined {
  const found = samples.filter(
    (one) => one.name === name && Object.entries(labels).every(([label, text]) => one.labels[label] === text),
  )
  if (found.length > 1) throw new Error(`${found.length} series of ${name} fit`)
  return found[0]?.value
}
