/** Metrics: what is added up, how it is written, and how often the database is asked. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { Health } from '../../src/engine/health.ts'
import { TimeLimitError } from '../../src/errors.ts'
import type { Outcome } from '../../src/queue/contract.ts'
import type { Message } from '../../src/queue/message.ts'
import type { QueueOverview } from '../../src/queue/operator.ts'
import { createDepths } from '../../src/server/metrics/depths.ts'
import { createHistogram } from '../../src/server/metrics/histogram.ts'
import { type Family, prometheusText } from '../../src/server/metrics/prometheus.ts'
import { createMetrics } from '../../src/server/metrics.ts'
import { parsePrometheus, seriesOf } from '../support/prometheus.ts'
import { until } from '../support/worker.ts'

const health: Health = {
  ...{ parts: [], stuck: null },
  ...{ ready: true, reason: null, state: 'running', transport: 'rpc', wake: 'poll', inFlight: 3, zombies: 1 },
  ...{ unsettled: 2, queues: { a: 'ok' }, downMs: 1500, lastError: null },
}
const one: QueueOverview = {
  ...{ queue: 'a', ready: 7, inFlight: 2, delayed: 4, retrying: 3, dead: 1, estimated: [], workers: 1 },
  ...{ oldestReadySeconds: 12.5, paused: false, lastError: 'secret stuff', lastErrorAt: null },
  rateLimit: { maxMessages: 100, periodSeconds: 60, left: 40 },
  breaker: { state: 'half_open', reason: 'secret stuff', trips: 3 },
}
const message = { queue: 'a', msgId: '1' } as Message

function bench(overview: () => Promise<readonly QueueOverview[]> = async () => [one]) {
  const metrics = createMetrics({ queues: ['a', 'b'], version: '1.2.3', overview })
  const { finished, settled, leaseLost, returned } = metrics.listener
  return {
    metrics,
    ended(outcome: Outcome, ranMs: number, waitedMs: number, error?: Error) {
      finished?.({ message, outcome, ranMs, waitedMs, error })
      settled?.({ receipt: message, kind: outcome.kind, status: 'ok' })
    },
    settled,
    leaseLost,
    returned,
    scrape: async () => parsePrometheus(await metrics.text(health)),
  }
}

describe('a histogram', () => {
  test('counts each value in the range it falls into, bounds included', () => {
    const histogram = createHistogram([1, 5])
    for (const seconds of [0, 0.5, 1, 1.001, 5, 6, 100]) histogram.observe(seconds)
    expect(histogram.read()).toEqual({ bounds: [1, 5], counts: [3, 2, 2], count: 7, sum: 113.501 })
  })
})

describe('the text', () => {
  test('escapes what has to be, and leaves out families without samples', () => {
    const families: Family[] = [
      { name: 'a', help: 'a \\ and\nmore', type: 'gauge', samples: [[{ x: 'q"\\\n', y: '' }, 1.5]] },
      { name: 'empty', help: 'x', type: 'gauge', samples: [] },
    ]
    const text = prometheusText(families)
    expect(text).toBe('# HELP a a \\\\ and\\nmore\n# TYPE a gauge\na{x="q\\"\\\\\\n",y=""} 1.5\n')
    expect(parsePrometheus(text).samples).toEqual([{ name: 'a', labels: { x: 'q"\\\n', y: '' }, value: 1.5 }])
  })
})

describe('what a worker did', () => {
  test('is there from the start with 0, for each queue', async () => {
    const scrape = await bench().scrape()
    for (const queue of ['a', 'b']) {
      for (const outcome of ['archive', 'delete', 'retry', 'dead', 'release', 'snooze'])
        expect(seriesOf(scrape, 'queue_worker_processed_total', { queue, outcome })).toBe(0)
      expect(seriesOf(scrape, 'queue_worker_run_seconds_count', { queue })).toBe(0)
    }
  })

  test('is added up by queue, outcome and reason', async () => {
    const { ended, settled, leaseLost, returned, scrape } = bench()
    ended({ kind: 'archive' }, 40, 2000)
    ended({ kind: 'retry', delayMs: 1, error: 'x' }, 6000, 20, new Error('x'))
    ended({ kind: 'retry', delayMs: 1, error: 'x' }, 6000, 20, new TimeLimitError('x'))
    ended({ kind: 'dead', reason: 'unrecoverable', error: 'x', attempts: 1 }, 1, 20)
    ended({ kind: 'snooze', delayMs: 1, breaker: { reason: 'down' } }, 1, 20)
    ended({ kind: 'dead', reason: 'invalid_payload', error: 'x', attempts: 1 }, 0, 20)
    ended({ kind: 'dead', reason: 'interruptions_exhausted', error: 'x', attempts: 0 }, 0, 20)
    ended({ kind: 'snooze', delayMs: 1 }, 0, 20)
    ended({ kind: 'release' }, 0, 0)
    settled?.({ receipt: message, kind: 'archive', status: 'lost' })
    settled?.({ receipt: { ...message, queue: 'somebody else’s' }, kind: 'archive', status: 'ok' })
    leaseLost?.({ message })
    returned?.({ message })
    const found = await scrape()
    const processed = (outcome: string) =>
      seriesOf(found, 'queue_worker_processed_total', { queue: 'a', outcome })
    expect(['archive', 'retry', 'dead', 'snooze', 'release', 'delete'].map(processed)).toEqual([
      1, 2, 3, 2, 1, 0,
    ])
    const failed = (reason: string) => seriesOf(found, 'queue_worker_failures_total', { queue: 'a', reason })
    expect(['error', 'time_limit', 'invalid_payload', 'unrecoverable'].map(failed)).toEqual([1, 1, 1, 1])
    expect(seriesOf(found, 'queue_worker_leases_lost_total', { queue: 'a' })).toBe(1)
    expect(seriesOf(found, 'queue_worker_interruptions_total', { queue: 'a' })).toBe(1)
    // Five ran; what was given back did not, nor what was invalid, had killed too often, or could not run alone.
    expect(seriesOf(found, 'queue_worker_run_seconds_count', { queue: 'a' })).toBe(5)
    expect(seriesOf(found, 'queue_worker_run_seconds_bucket', { queue: 'a', le: '0.05' })).toBe(3)
    expect(seriesOf(found, 'queue_worker_run_seconds_sum', { queue: 'a' })).toBeCloseTo(12.042)
    expect(seriesOf(found, 'queue_worker_wait_seconds_bucket', { queue: 'a', le: '1' })).toBe(7)
  })

  test('stands beside how the worker and its queues are', async () => {
    const found = await bench().scrape()
    expect(seriesOf(found, 'queue_worker_info', { version: '1.2.3', transport: 'rpc', wake: 'poll' })).toBe(1)
    expect(seriesOf(found, 'queue_worker_ready')).toBe(1)
    expect(seriesOf(found, 'queue_worker_in_flight_messages')).toBe(3)
    expect(seriesOf(found, 'queue_worker_database_down_seconds')).toBe(1.5)
    const stateOf = (state: string) => seriesOf(found, 'queue_worker_breaker_state', { queue: 'a', state })
    expect(['closed', 'open', 'half_open'].map(stateOf)).toEqual([0, 0, 1])
    const depth = (state: string) => seriesOf(found, 'queue_worker_queue_messages', { queue: 'a', state })
    expect(['ready', 'in_flight', 'delayed', 'retrying', 'dead'].map(depth)).toEqual([7, 2, 4, 3, 1])
    expect(seriesOf(found, 'queue_worker_rate_limit_left_messages', { queue: 'a' })).toBe(40)
    expect(seriesOf(found, 'queue_worker_queue_oldest_ready_seconds', { queue: 'a' })).toBe(12.5)
  })

  test('is told in docs/metrics.md, all of it and with its labels', async () => {
    const text = readFileSync(new URL('../../../docs/metrics.md', import.meta.url), 'utf8')
    const rows = text.matchAll(/^\| `(\w+)` \| (\w+) \|(.*?)\| .+ \|$/gm)
    const told = [...rows].map(([, name, type, labels]) => `${name} ${type} ${labels?.trim()}`)
    const { metrics, scrape } = bench()
    metrics.listener.called?.({ call: 'read', durationMs: 1, failure: null })
    const { samples, types } = await scrape()
    const shown = [...types].map(([name, type]) => {
      const own = samples.find((one) => one.name.replace(/_(bucket|sum|count)$/, '') === name)
      const labels = Object.keys(own?.labels ?? {}).filter((label) => label !== 'le')
      return `${name} ${type} ${labels.map((label) => `\`${label}\``).join(', ')}`
    })
    expect(told.toSorted()).toEqual(shown.toSorted())
  })

  test('tells no reasons, which may quote anything, in any form', async () => {
    const { metrics } = bench()
    expect(await metrics.text(health)).not.toContain('secret stuff')
    const told = JSON.stringify(await metrics.json(health))
    expect(told).not.toContain('secret stuff')
    expect(JSON.parse(told)).toMatchObject({
      version: '1.2.3',
      health: { ready: true, downMs: 1500 },
      queues: { a: { processed: { archive: 0 } } },
      depths: { queues: [{ queue: 'a', ready: 7, breaker: { state: 'half_open', trips: 3 } }] },
    })
  })
})

describe('what is in the queues', () => {
  test('is asked of the database once in five seconds, however many want to know', async () => {
    let nowMs = 0
    let asked = 0
    const depths = createDepths(
      async () => {
        asked += 1
        return [{ ...one, ready: asked }]
      },
      () => nowMs,
    )
    const first = await Promise.all([depths.read(), depths.read(), depths.read()])
    expect(first.map((known) => known?.queues[0]?.ready)).toEqual([1, 1, 1])
    nowMs = 4900
    expect(await depths.read()).toMatchObject({ ageSeconds: 4.9 })
    expect(asked).toBe(1)
    nowMs = 5100
    expect(await depths.read()).toMatchObject({ ageSeconds: 0, queues: [{ ready: 2 }] })
  })

  test('is told with its age while the database does not answer, for a minute, and then not at all', async () => {
    let nowMs = 0
    let isAway = false
    const depths = createDepths(
      async () => {
        if (isAway) throw new Error('away')
        return [one]
      },
      () => nowMs,
    )
    await depths.read()
    isAway = true
    nowMs = 50_000
    expect(await depths.read()).toMatchObject({ ageSeconds: 50 })
    nowMs = 61_000
    expect(await depths.read()).toBeNull()
    isAway = false
    expect(await depths.read()).toMatchObject({ ageSeconds: 0 })
  })

  test('that the database never says holds up a scrape for three seconds at most, and is missing in it', async () => {
    const { scrape } = bench(() => new Promise(() => {}))
    const started = performance.now()
    let found: Awaited<ReturnType<typeof scrape>> | undefined
    void scrape().then((one) => {
      found = one
    })
    await until('it is answered', () => found !== undefined)
    expect(performance.now() - started).toBeGreaterThan(2500)
    if (!found) return expect.fail()
    expect(seriesOf(found, 'queue_worker_ready')).toBe(1)
    expect(found.samples.filter(({ name }) => name.startsWith('queue_worker_queue_'))).toEqual([])
  })
})
