/** Limits, pauses, breakers and metrics as the person on call meets them: at the command line and with curl. */
import postgres from 'postgres'
import { afterAll, afterEach, beforeEach, describe, expect, inject, test } from 'vitest'
import type { Health } from '../../src/engine/health.ts'
import {
  endAll,
  folder,
  freePort,
  logLines,
  removeFolder,
  run,
  start,
  writeProcessors,
} from '../support/cli.ts'
import { connectionEnv, KINDS, processorCode } from '../support/cli-env.ts'
import { parsePrometheus, seriesOf } from '../support/prometheus.ts'
import { createInspector, uniqueQueue } from '../support/queues.ts'
import { until } from '../support/worker.ts'

const stack = inject('stack')
const sql = postgres(stack.databaseUrl, { max: 1, onnotice: () => {} })
const look = createInspector(sql)
let cwd = ''
let queue = ''
beforeEach(async () => {
  cwd = await folder()
  queue = uniqueQueue()
  await sql`select pgmq.create(${queue})`
})
afterEach(async () => {
  await endAll()
  await look.drop(queue)
  await removeFolder(cwd)
})
afterAll(() => sql.end())

const send = (count: number) =>
  sql`select pgmq.send(${queue}::text, jsonb_build_object('n', n)) from generate_series(1, ${count}::int) n`
const prefix = () => queue.toUpperCase()

describe.each(KINDS)('over %s', (kind) => {
  const env = () => connectionEnv(kind, stack)
  const command = (...args: string[]) => run(args, { cwd, env: env() })
  const shown = async () => {
    const { out } = await command('queues')
    return out.split('\n').find((line) => line.startsWith(queue))
  }

  test('limit sets and lifts a limit, and queues shows what is left of it', async () => {
    const set = await command('limit', queue, '100/1m')
    expect([set.code, set.err]).toEqual([0, ''])
    expect(set.out).toBe(`at most 100 messages of ${queue} are given out in any 60 s now, over all workers\n`)
    expect(await shown()).toMatch(/ limit 100\/1m, 100 left$/)
    const lifted = await command('limit', queue, 'off')
    expect([lifted.code, lifted.out]).toEqual([0, `${queue} has no rate limit now\n`])
    expect(await shown()).not.toContain('limit')
    const nowhere = await command('limit', 'no_such_queue', '1/1s')
    expect(nowhere.code).toBe(3)
    expect(nowhere.err).toMatch(/there is no queue "no_such_queue"/)
  })

  test('pause and resume are for all workers', async () => {
    const paused = await command('pause', queue)
    expect([paused.code, paused.out]).toEqual([0, expect.stringMatching(/is paused for all workers/)])
    expect(await shown()).toMatch(/ paused$/)
    const resumed = await command('resume', queue)
    expect([resumed.code, resumed.out]).toEqual([0, `${queue} is worked on again\n`])
    expect(await shown()).not.toContain('paused')
  })

  test('a worker sets the limit of its settings, says so, and drain tells what the limit leaves', async () => {
    await send(5)
    const settings = {
      ...env(),
      PROCESSORS: writeProcessors(cwd, { 'one.js': processorCode(queue, '') }),
      [`${prefix()}_RATE_LIMIT`]: '2/1h',
    }
    const { code, out, text } = await run(['drain'], { cwd, env: settings })
    expect(code, text).toBe(0)
    expect(text).toMatch(
      new RegExp(`queue ${queue} gives out at most 2 messages in any 3600 s now, over all workers`),
    )
    expect(out).toMatch(/^drained: 2 succeeded/m)
    expect(out).toContain(`${queue} still has 3 that may not be read now: limit 2/1h, 0 left`)
    const checked = await run(['check'], {
      cwd,
      env: { ...settings, [`${prefix()}_RATE_LIMIT`]: '2 an hour' },
    })
    expect(checked.code).toBe(3)
    expect(checked.err).toMatch(
      /_RATE_LIMIT is not a rate limit; allowed: a number from 1 to 1000000, a slash and/,
    )
  })

  test('an outage is told once, shown by queues, health and metrics, and ended by resume', async () => {
    const [port, body] = [
      await freePort(),
      `if (payload.n < 9) throw new OutageError('the other side is down')`,
    ]
    await send(8)
    const worker = start(['start'], {
      cwd,
      env: {
        ...env(),
        PORT: String(port),
        PROCESSORS: writeProcessors(cwd, { 'one.js': processorCode(queue, body, 'concurrency: 2,') }),
        [`${prefix()}_RATE_LIMIT`]: '1000/1h',
      },
    })
    await worker.says(/breaker of queue .* is open/)
    const get = (path: string, accept = '*/*') =>
      fetch(`http://127.0.0.1:${port}${path}`, { headers: { accept } })
    const healthNow = async () => {
      const answer = await get('/health')
      return { code: answer.status, ...((await answer.json()) as Pick<Health, 'inFlight' | 'queues'>) }
    }
    await until('nothing is in flight', async () => (await healthNow()).inFlight === 0)
    const [line, ...others] = logLines(worker.text()).filter(({ trips }) => trips === 1)
    expect(others).toEqual([])
    expect(line).toMatchObject({ level: 'warn', queue, status: 'breaker_open', trips: 1 })
    expect(line?.msg).toMatch(/is open for [4-6] s \(trip 1\): the other side is down$/)

    const table = await command('queues')
    expect(table.out).toMatch(
      new RegExp(`^${queue} .* breaker (open|half-open) \\(trip \\d\\); limit 1000/1h, \\d+ left `, 'm'),
    )
    expect(table.out).toMatch(new RegExp(`^${queue}: the other side is down$`, 'm'))
    const health = await healthNow()
    expect(health.code).toBe(200)
    expect(health.queues[queue]).toMatch(/^breaker_/)

    const text = await get('/metrics')
    expect([text.status, text.headers.get('content-type')]).toEqual([
      200,
      'text/plain; version=0.0.4; charset=utf-8',
    ])
    const scraped = parsePrometheus(await text.text())
    expect(seriesOf(scraped, 'queue_worker_breaker_state', { queue, state: 'closed' })).toBe(0)
    expect(seriesOf(scraped, 'queue_worker_breaker_trips', { queue })).toBeGreaterThan(0)
    expect(seriesOf(scraped, 'queue_worker_rate_limit_messages', { queue })).toBe(1000)
    const left = seriesOf(scraped, 'queue_worker_rate_limit_left_messages', { queue })
    expect(left).toBeLessThan(1000)
    expect(seriesOf(scraped, 'queue_worker_queue_messages', { queue, state: 'dead' })).toBe(0)
    expect(seriesOf(scraped, 'queue_worker_processed_total', { queue, outcome: 'snooze' })).toBeGreaterThan(0)
    expect(seriesOf(scraped, 'queue_worker_run_seconds_count', { queue })).toBeGreaterThan(0)
    // The breaker may be half open by now, and a probe may run.
    expect(seriesOf(scraped, 'queue_worker_in_flight_messages')).toBeLessThanOrEqual(1)
    for (const [path, accept] of [
      ['/metrics', 'application/json'],
      ['/metrics.json', '*/*'],
    ] as const) {
      const json = await get(path, accept)
      expect(json.headers.get('content-type')).toBe('application/json; charset=utf-8')
      expect(await json.json()).toMatchObject({
        health: { ready: true, lastError: null },
        queues: { [queue]: { processed: { dead: 0 } } },
        depths: { queues: [{ queue, rateLimit: { maxMessages: 1000 } }] },
      })
    }

    await sql`update ${look.table('q', queue)} set message = '{"n": 9}', vt = clock_timestamp() where true`
    expect((await command('resume', queue)).code).toBe(0)
    await until('all are archived', async () => (await look.archived(queue)).length === 8)
    await worker.says(/the breaker of queue .* is closed/)
    worker.signal('SIGTERM')
    expect(await worker.ended).toBe(0)
  })
})

test('a command line that makes no sense of a limit ends with 2', async () => {
  for (const rate of ['often', '0/1m', '5', '5/0s']) {
    const { code, err } = await run(['limit', queue, rate], { cwd })
    expect([code, rate]).toEqual([2, rate])
    expect(err).toMatch(/is invalid .*Give a number from 1 to 1000000, a slash and a period/)
  }
})
