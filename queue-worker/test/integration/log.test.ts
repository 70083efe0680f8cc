/** What a stranger reads in the log of a worker and a scheduler: how they are connected, and outages. */
import { pino } from 'pino'
import { describe, expect, inject, test } from 'vitest'
import { createScheduler, createWorker, defineProcessor, type Transport } from '../../src/library.ts'
import { packageVersion } from '../../src/version.ts'
import { engineBench, payload } from '../support/engine-bench.ts'
import { openTransport } from '../support/transports.ts'
import { until } from '../support/worker.ts'

type Line = { readonly level: number; readonly msg: string; readonly [field: string]: unknown }

function openLog() {
  const lines: Line[] = []
  const logger = pino({ level: 'info' }, { write: (line: string) => void lines.push(JSON.parse(line)) })
  return { lines, logger, saying: (text: string) => lines.filter(({ msg }) => msg.includes(text)) }
}

describe.each(['rpc', 'postgres'] as const)('the log over %s', (kind) => {
  const bench = engineBench(kind)
  const stack = inject('stack')
  const wake = kind === 'postgres' ? 'woken by notifications' : 'polling'

  function workerOn(connection: Transport, queue: string) {
    const log = openLog()
    const worker = createWorker({
      connection,
      logger: log.logger,
      settings: { workerId: 'log-test', pollIntervalMs: 100, toleratedOutageMs: 2000 },
      processors: [defineProcessor({ queue, payload, process: () => {} })],
    })
    return { ...log, worker }
  }

  async function connectedLine(who: string): Promise<string> {
    const { target } = bench.typed
    const { postgresVersion, pgmqVersion, migration, protocol, role } = await bench.typed.status()
    return (
      `queue-worker ${packageVersion()} (${who}) is connected to ${target} over ${kind} as ${role}: ` +
      `PostgreSQL ${postgresVersion}, pgmq ${pgmqVersion ?? 'installed by script'}, migration ${migration}, protocol ${protocol}`
    )
  }

  test('of a start says in two lines what meets what, in which versions, and what is read, without secrets', async () => {
    const queue = await bench.newQueue()
    const { lines, worker } = workerOn(openTransport(kind, stack), queue)
    await worker.start()
    await worker.stop('the test is over')
    expect(lines.map(({ msg }) => msg)).toEqual([
      await connectedLine('log-test'),
      `worker log-test reads ${queue} over ${kind} from ${bench.typed.target}, ${wake}`,
      'stopping (the test is over): 0 running, 0 given back',
      'stopped',
    ])
    expect(lines[0]).toMatchObject({ version: packageVersion(), worker_id: 'log-test', transport: kind })
    expect(JSON.stringify(lines)).not.toContain(stack.secretKey)
    expect(JSON.stringify(lines)).not.toContain(`:${new URL(stack.databaseUrl).password}@`)
  })

  test('of a scheduler alone says the same of its connection', async () => {
    const { lines, logger, saying } = openLog()
    const settings = { workerId: 'log-scheduler' }
    const scheduler = createScheduler({ connection: openTransport(kind, stack), logger, settings })
    await scheduler.start()
    await until('it schedules', () => saying('the scheduler sends').length === 1)
    await scheduler.stop('the test is over')
    expect(lines[0]?.msg).toBe(await connectedLine('log-scheduler'))
  })

  test('of an outage is one line at its start, with what to do, and one at its end, with its length', async () => {
    const queue = await bench.newQueue()
    const { connection, down, up } = await bench.cuttable()
    const { lines, saying, worker } = workerOn(connection, queue)
    await worker.start()
    const before = lines.length
    const downAt = performance.now()
    down()
    await until('it is not ready', () => !worker.health().ready)
    up()
    await until('it is over', () => saying('answers again').length > 0)
    const seconds = (performance.now() - downAt) / 1000
    await worker.stop('the test is over')
    const told = lines.slice(before).map(({ msg }) => msg)
    expect(told).toEqual([
      expect.stringMatching(/^the database cannot be used: /),
      expect.stringMatching(/^the database answers again after \d+ s$/),
      expect.stringMatching(/^stopping /),
      'stopped',
    ])
    const [lost, back] = lines.slice(before)
    expect(lost).toMatchObject({ level: 50, kind: expect.any(String), remedy: expect.any(String) })
    expect(back).toMatchObject({ level: 30, failures: expect.any(Number) })
    expect(Number(back?.down_ms) / 1000).toBeGreaterThan(1)
    expect(Number(back?.down_ms) / 1000).toBeLessThanOrEqual(seconds)
  })
})
