/** deploy/prometheus: the alert rules and the dashboard are valid to Prometheus's own tool, and ask for metrics that there are. */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { z } from 'zod'
import type { Message } from '../../src/queue/message.ts'
import { createMetrics } from '../../src/server/metrics.ts'
import { parsePrometheus } from '../support/prometheus.ts'

const folder = fileURLToPath(new URL('../../../deploy/prometheus', import.meta.url))
const read = (name: string) => readFileSync(join(folder, name), 'utf8')
const rules = read('queue-worker.rules.yml')
const docs = readFileSync(join(folder, '../../docs/metrics.md'), 'utf8')

const without =
  spawnSync('promtool', ['--version']).error === undefined
    ? ''
    : ' (skipped: no promtool; apt-get install prometheus)'
const promtool = (args: readonly string[], input = '') =>
  execFileSync('promtool', args, { cwd: folder, input, encoding: 'utf8', stdio: 'pipe' })

/** What a worker answers that has done a bit of everything. */
async function scraped(): Promise<string> {
  const overview = {
    ...{ queue: 'a', ready: 7, inFlight: 2, delayed: 4, retrying: 3, dead: 1, estimated: [], workers: 1 },
    ...{ oldestReadySeconds: 12.5, paused: false, lastError: null, lastErrorAt: null, breaker: null },
    rateLimit: { maxMessages: 100, periodSeconds: 60, left: 40 },
  }
  const { listener, text } = createMetrics({
    ...{ queues: ['a'], version: '1.2.3', overview: async () => [overview] },
  })
  const message = { queue: 'a', msgId: '1' } as Message
  listener.finished?.({ message, outcome: { kind: 'archive' }, ranMs: 5, waitedMs: 7 })
  listener.called?.({ call: 'read', durationMs: 1, failure: null })
  return text({
    ...{ ready: true, transport: 'rpc', wake: 'poll', inFlight: 3, zombies: 1, unsettled: 2, downMs: 1500 },
  })
}

const Panel = z.object({
  id: z.number(),
  title: z.string().min(3),
  description: z.string().min(10),
  gridPos: z.object({ x: z.number(), y: z.number(), w: z.number(), h: z.number() }),
  targets: z.array(z.object({ expr: z.string(), refId: z.string() })).min(1),
})
const dashboard = z
  .object({ uid: z.literal('queue-worker'), panels: z.array(Panel).min(10) })
  .parse(JSON.parse(read('queue-worker.dashboard.json')))
const expressions = dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr))

test(`the metrics of a worker have no fault that Prometheus's linter knows${without}`, {
  skip: without !== '',
}, async () => {
  expect(promtool(['check', 'metrics'], await scraped())).toBe('')
})

test(`the alert rules are valid, and each fires when it should and not else${without}`, {
  skip: without !== '',
}, () => {
  expect(promtool(['check', 'rules', 'queue-worker.rules.yml'])).toMatch(/SUCCESS: \d+ rules found/)
  expect(promtool(['test', 'rules', 'queue-worker.rules.test.yml'])).toMatch(/SUCCESS/)
})

test(`each question of the dashboard is one to Prometheus${without}`, { skip: without !== '' }, () => {
  const own = mkdtempSync(join(tmpdir(), 'queue-worker-dashboard-'))
  const plain = expressions.map((expr) =>
    expr.replaceAll('$__rate_interval', '5m').replaceAll('$queue', '.*'),
  )
  const records = plain.map((expr, n) => `      - {record: 'panel:${n}', expr: '${expr}'}`)
  writeFileSync(join(own, 'panels.yml'), `groups:\n  - name: panels\n    rules:\n${records.join('\n')}\n`)
  expect(promtool(['check', 'rules', join(own, 'panels.yml')])).toContain(`${expressions.length} rules found`)
  rmSync(own, { recursive: true })
})

test('rules and dashboard ask for metrics that a worker has', async () => {
  const { types } = parsePrometheus(await scraped())
  const asked = [rules, ...expressions].flatMap((text) => text.match(/\bqueue_worker_\w+/g) ?? [])
  expect(asked.length).toBeGreaterThan(30)
  const known = (name: string) => {
    const family = name.replace(/_(bucket|count|sum)$/, '')
    return types.has(name) || types.get(family) === 'histogram'
  }
  expect(asked.filter((name) => !known(name))).toEqual([])
})

test('no panel lies on another, and no two have the same number', () => {
  const { panels } = dashboard
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length)
  const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
    Array.from({ length: w * h }, (_, n) => `${x + (n % w)},${y + Math.floor(n / w)}`),
  )
  expect(new Set(cells).size).toBe(cells.length)
  expect(Math.max(...panels.map(({ gridPos: { x, w } }) => x + w))).toBe(24)
})

test('docs/metrics.md lists each alert, and each says where to read on', () => {
  const names = [...rules.matchAll(/- alert: (\w+)/g)].map(([, name]) => name)
  const told = [...docs.matchAll(/^\| `(QueueWorker\w+)` \|/gm)].map(([, name]) => name)
  expect(told).toEqual(names)
  for (const [, page = '', anchor] of rules.matchAll(/runbook: (docs\/[\w-]+\.md)(?:#(\S+))?/g)) {
    const text = readFileSync(join(folder, '../..', page), 'utf8')
    const anchors = [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
      heading
        .toLowerCase()
        .replace(/[^\w\- ]/g, '')
        .replaceAll(' ', '-'),
    )
    if (anchor !== undefined) expect(anchors, page).toContain(anchor)
  }
})
