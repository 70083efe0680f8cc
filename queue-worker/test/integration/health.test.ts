/** What /health, /readyz and /livez say of each part, each state reached for real. */
import { afterEach, describe, expect, inject, test } from 'vitest'
import { ConnectionFailure, defineProcessor, type Transport } from '../../src/library.ts'
import { type Answer, type HealthServer, serveHealth } from '../../src/server/health.ts'
import { endAll, folder, freePort, removeFolder, start } from '../support/cli.ts'
import { connectionEnv } from '../support/cli-env.ts'
import { engineBench, payload } from '../support/engine-bench.ts'
import { parsePrometheus, seriesOf } from '../support/prometheus.ts'
import { until } from '../support/worker.ts'

type Told = Answer & { readonly status: string; readonly reason: string | null }

let server: HealthServer | undefined
afterEach(async () => {
  await server?.close()
  server = undefined
})

async function served(worker: { health(): Answer }) {
  server = await serveHealth({ host: '127.0.0.1', port: 0, health: worker.health })
  const { url } = server
  const get = async (path: string) => {
    const response = await fetch(`${url}${path}`)
    return { code: response.status, ...((await response.json()) as Told) }
  }
  const part = async (name: string) => (await get('/health')).parts.find((one) => one.part === name)
  return { get, part }
}

const tolerated = 1000
const settings = { pollIntervalMs: 200, notify: false, toleratedOutageMs: tolerated }

describe.each(['rpc', 'postgres'] as const)('over %s', (kind) => {
  const bench = engineBench(kind)
  const idle = (queue: string) => defineProcessor({ queue, payload, process() {} })

  test('all is well; a paused queue is degraded, a missing one down, and the worker of another goes on', async () => {
    const [first, second] = [await bench.newQueue(), await bench.newQueue()]
    const worker = await bench.start([idle(first), idle(second)], { settings })
    const { get, part } = await served(worker)
    await until('it has read and said that it lives', async () => (await get('/health')).parts.length >= 5)
    const well = await get('/health')
    expect(well).toMatchObject({ code: 200, status: 'ok', stuck: null, reason: null })
    expect(well.parts).toEqual(
      expect.arrayContaining(
        ['database', 'reading', 'registry', `queue ${first}`, `queue ${second}`].map((name) => ({
          ...{ part: name, state: 'ok', forMs: 0, error: null },
        })),
      ),
    )
    await bench.typed.setPaused(first, true)
    await until('it is noticed', async () => (await part(`queue ${first}`))?.state === 'degraded')
    expect(await part(`queue ${first}`)).toMatchObject({ error: 'paused for all workers' })
    expect(await get('/readyz')).toMatchObject({ code: 200, status: 'degraded' })
    await bench.look.drop(second)
    await until('it is noticed', async () => (await part(`queue ${second}`))?.state === 'down')
    expect(await part(`queue ${second}`)).toMatchObject({ error: 'does not exist' })
    expect(await get('/livez')).toEqual({ code: 200, status: 'ok' })
    await bench.typed.ensureQueue(second, { notify: false })
    await bench.typed.setPaused(first, false)
    await until('all is well', async () => (await get('/health')).status === 'ok')
  })

  test('a database that is away: degraded, then down with the error, while the process lives', async () => {
    const queue = await bench.newQueue()
    const { connection, down, up } = await bench.cuttable()
    const worker = await bench.start([idle(queue)], { connection, settings })
    const { get, part } = await served(worker)
    down()
    await until('it is noticed', async () => (await part('database'))?.state === 'degraded')
    expect((await get('/health')).code).toBe(200)
    await until('it is unready', async () => (await get('/readyz')).code === 503)
    const bad = await get('/health')
    expect(bad).toMatchObject({ code: 503, status: 'unavailable' })
    const database = bad.parts.find((one) => one.part === 'database')
    expect(database).toMatchObject({ state: 'down', error: expect.stringMatching(/\S{5}/) })
    expect(database?.forMs).toBeGreaterThan(tolerated)
    expect(await get('/livez')).toEqual({ code: 200, status: 'ok' })
    up()
    await until('all is well', async () => (await get('/health')).status === 'ok')
  })

  test('heartbeats that fail alone are told as such', async () => {
    const queue = await bench.newQueue()
    const { connection } = bench.counted()
    let fails = true
    const half: Transport = {
      ...connection,
      async call(entryPoint, request) {
        if (fails && entryPoint === 'extend')
          throw new ConnectionFailure('timeout', 'no answer', 'None: a test did it.', true)
        return connection.call(entryPoint, request)
      },
    }
    const gate = Promise.withResolvers<void>()
    const processor = defineProcessor({
      ...{ queue, payload, visibilityTimeoutSeconds: 3 },
      process: () => gate.promise,
    })
    const worker = await bench.start([processor], {
      connection: half,
      settings,
    })
    const { get, part } = await served(worker)
    await bench.send(queue, [{ n: 1 }])
    await until('it is told', async () => (await part('heartbeat'))?.state === 'down')
    expect(await part('heartbeat')).toMatchObject({ error: 'no answer' })
    expect(await part('reading')).toMatchObject({ state: 'ok' })
    expect((await get('/readyz')).code).toBe(503)
    fails = false
    await until('it is over', async () => (await part('heartbeat'))?.state === 'ok')
    gate.resolve()
    await until('it is archived', async () => (await bench.archived(queue)) === 1)
  })

  test('a loop that waits for ever is stuck: only a new process helps, and /livez says so', async () => {
    const queue = await bench.newQueue()
    const { connection } = bench.counted()
    const never = Promise.withResolvers<never>()
    never.promise.catch(() => {})
    let hangs = false
    const hanging: Transport = {
      ...connection,
      call: (entryPoint, request) =>
        hangs && /^(read|exchange)/.test(entryPoint) ? never.promise : connection.call(entryPoint, request),
    }
    const worker = await bench.start([idle(queue)], {
      connection: hanging,
      settings: { ...settings, toleratedOutageMs: 60_000, stuckAfterMs: 1000 },
    })
    const { get } = await served(worker)
    expect(await get('/livez')).toEqual({ code: 200, status: 'ok' })
    hangs = true
    await until('it is stuck', async () => (await get('/livez')).code === 503)
    expect(await get('/livez')).toMatchObject({
      status: 'stuck',
      reason: expect.stringMatching(/loop of reading/),
    })
    expect(await get('/readyz')).toMatchObject({ code: 503, reason: expect.stringMatching(/only a restart/) })
    never.reject(new ConnectionFailure('timeout', 'no answer', 'None: a test did it.', true))
    hangs = false
    await until('it turns again', async () => (await get('/livez')).code === 200)
  })
})

test('a scheduler alone tells its parts and its metrics', async () => {
  const cwd = await folder()
  const env = { ...connectionEnv('postgres', inject('stack')), PORT: String(await freePort()) }
  const scheduler = start(['scheduler'], { cwd, env })
  await scheduler.says(/health is answered at (http:\S+)\/health/)
  const [, url = ''] = /health is answered at (http:\S+)\/health/.exec(scheduler.text()) ?? []
  await until('it ticks', async () => {
    const told = (await (await fetch(`${url}/health`)).json()) as Told
    return told.status === 'ok' && told.parts.some(({ part }) => part === 'scheduler')
  })
  const scraped = parsePrometheus(await (await fetch(`${url}/metrics`)).text())
  expect(seriesOf(scraped, 'queue_worker_ready')).toBe(1)
  expect(seriesOf(scraped, 'queue_worker_call_seconds_count', { call: 'tick' })).toBeGreaterThan(0)
  expect(seriesOf(scraped, 'queue_worker_call_failures_total', { call: 'tick' })).toBe(0)
  expect(seriesOf(scraped, 'queue_worker_schedule_runs_total')).toBe(0)
  scheduler.signal('SIGTERM')
  expect(await scheduler.ended).toBe(0)
  await endAll()
  await removeFolder(cwd)
})
