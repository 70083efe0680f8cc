/** `npm run bench`: our worker and the floor, in turn, in one run; medians and spread of several rounds. */
import { parseArgs } from 'node:util'
import { table } from '../queue-worker/src/commands/table.ts'
import { drainWorker } from './drain.ts'
import { drainFloor } from './floor.ts'
import { latencies } from './latency.ts'
import { createSetting } from './setting.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    messages: { type: 'string', default: '20000' },
    json: { type: 'boolean', default: false },
  },
})
const rounds = Number(values.rounds)
const messages = Number(values.messages)

const setting = await createSetting()
const workloads: Record<string, () => Promise<number>> = {
  'floor, batches of 500, 2 connections': () => drainFloor(setting, messages, 500),
  'floor, batches of 100, 2 connections': () => drainFloor(setting, messages, 100),
  'worker, direct, defaults': () => drainWorker(setting, 'postgres', { messages }),
  'worker, direct, concurrency 500, batches of 500': () =>
    drainWorker(setting, 'postgres', { messages, concurrency: 500, batchSize: 500 }),
  'worker, RPC, defaults': () => drainWorker(setting, 'rpc', { messages }),
  'worker, RPC, concurrency 500, batches of 500': () =>
    drainWorker(setting, 'rpc', { messages, concurrency: 500, batchSize: 500 }),
}

const figures = new Map<string, number[]>(Object.keys(workloads).map((name) => [name, []]))
for (let round = 1; round <= rounds; round += 1) {
  for (const [name, run] of Object.entries(workloads)) {
    process.stderr.write(`round ${round} of ${rounds}: ${name} …`)
    const rate = await run()
    figures.get(name)?.push(rate)
    process.stderr.write(` ${Math.round(rate)} messages/s\n`)
  }
}
const waits = { direct: await latencies(setting, 'postgres', 300), rpc: await latencies(setting, 'rpc', 300) }
await setting.close()

const drained = [...figures].map(([name, rates]) => ({ name, ...spread(rates) }))
const waited = Object.entries(waits).map(([name, ms]) => ({
  name,
  medianMs: at(ms, 0.5),
  p99Ms: at(ms, 0.99),
}))
const peakMb = Math.round(process.resourceUsage().maxRSS / 1024)
if (values.json) {
  console.log(JSON.stringify({ rounds, messages, drained, waited, peakMb }, null, 2))
} else {
  const rows = drained.map(({ name, median, min, max }) => [
    name,
    ...[median, min, max].map((rate) => String(Math.round(rate))),
  ])
  console.log(`\nDraining ${messages} messages of 300 bytes, messages/s over ${rounds} rounds:\n`)
  console.log(table(['', 'median', 'min', 'max'], rows, [1, 2, 3]))
  console.log('\nFrom commit to the start of the processor, one message per 20 ms:\n')
  console.log(
    table(
      ['', 'median', '99th'],
      waited.map((one) => [one.name, `${one.medianMs.toFixed(1)} ms`, `${one.p99Ms.toFixed(1)} ms`]),
      [1, 2],
    ),
  )
  console.log(`\nPeak memory of this process (worker, senders and measurement together): ${peakMb} MB`)
}
process.exit(0)

function spread(rates: readonly number[]) {
  const sorted = rates.toSorted((a, b) => a - b)
  return { median: at(sorted, 0.5), min: sorted[0] ?? 0, max: sorted.at(-1) ?? 0 }
}

function at(sorted: readonly number[], quantile: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * quantile))] ?? 0
}
