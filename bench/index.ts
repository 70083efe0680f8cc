/** `npm run bench`: the floors and our worker, in turn, in one run; medians, spread and ratios of several rounds. */
import { parseArgs } from 'node:util'
import { table } from '../queue-worker/src/commands/table.ts'
import { createSetting } from './setting.ts'
import { TARGETS } from './targets.ts'
import { createWorkloads } from './workloads.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    messages: { type: 'string', default: '50000' },
    /** Groups, separated by commas; all of them if left out. */
    only: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
})
const rounds = Number(values.rounds)
const setting = await createSetting()
const groups = createWorkloads(setting, Number(values.messages))
const chosen = values.only?.split(',') ?? Object.keys(groups)
const unknown = chosen.filter((name) => groups[name] === undefined)
if (unknown.length > 0)
  throw new Error(`no workload ${unknown.join()}: there are ${Object.keys(groups).join(', ')}`)

type Figure = { group: string; name: string; unit: string; median: number; min: number; max: number }
const figures: Figure[] = []
for (const group of chosen) {
  const workloads = Object.entries(groups[group] ?? {})
  const found = new Map<string, number[]>()
  // In turn, so that a slow minute of the machine hits all of them.
  for (let round = 1; round <= rounds; round += 1) {
    for (const [name, { run, unit, rounds: most = rounds }] of workloads) {
      if (round > most) continue
      process.stderr.write(`${group}, round ${round} of ${most}: ${name} …`)
      const figure = await run()
      found.set(name, [...(found.get(name) ?? []), figure])
      process.stderr.write(` ${show(figure)} ${unit}\n`)
    }
  }
  for (const [name, { unit }] of workloads)
    figures.push({ group, name, unit, ...spread(found.get(name) ?? []) })
}
await setting.close()

const results = TARGETS.filter(({ group }) => chosen.includes(group)).map((target) => {
  const median = (name: string) =>
    figures.find((one) => one.group === target.group && one.name === name)?.median ?? Number.NaN
  const base = typeof target.base === 'string' ? median(target.base) : (target.base ?? 1)
  const value = median(target.of) / base
  return { ...target, value, isMet: value >= (target.atLeast ?? value) && value <= (target.atMost ?? value) }
})
if (values.json)
  console.log(JSON.stringify({ rounds, messages: Number(values.messages), figures, results }, null, 2))
else {
  const rows = figures.map(({ group, name, unit, ...one }) => [
    group,
    name,
    ...[one.median, one.min, one.max].map(show),
    unit,
  ])
  console.log(`\n${table(['', '', 'median', 'min', 'max', ''], rows, [2, 3, 4])}\n`)
  const bars = results.map(({ name, value, atLeast, atMost, isMet }) => [
    name,
    show(value),
    atLeast === undefined ? `at most ${atMost}` : `at least ${atLeast}`,
    isMet ? 'met' : 'NOT MET',
  ])
  console.log(table(['compared', '', 'target', ''], bars, [1]))
}
process.exit(0)

function spread(values: readonly number[]) {
  const sorted = values.toSorted((a, b) => a - b)
  return {
    median: sorted[sorted.length >> 1] ?? Number.NaN,
    min: sorted[0] ?? Number.NaN,
    max: sorted.at(-1) ?? Number.NaN,
  }
}

function show(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString('en') : value.toFixed(2)
}
