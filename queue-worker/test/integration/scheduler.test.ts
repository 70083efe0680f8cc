/** Schedulers at work on a real stack of their own: alone and within a worker, through trouble, and idle. */
import { pino } from 'pino'
import postgres, { type Sql } from 'postgres'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { z } from 'zod'
import type { Events } from '../../src/engine/events.ts'
import {
  ConnectionFailure,
  connectPostgres,
  connectSupabase,
  createScheduler,
  createWorker,
  defineProcessor,
  type Scheduler,
  type SchedulerSettings,
  type Transport,
  type Worker,
} from '../../src/library.ts'
import { packageVersion } from '../../src/version.ts'
import { createDatabase } from '../support/databases.ts'
import { startProxy } from '../support/proxy.ts'
import { createInspector, uniqueQueue, untilBlockedBy } from '../support/queues.ts'
import {
  addSchedule,
  moveClock,
  restoreClock,
  runsIn,
  scheduleStack,
  ticksOf,
  waitForLocks,
} from '../support/schedules.ts'
import type { TestStack } from '../support/stack.ts'
import { losingAnswers, openTransport } from '../support/transports.ts'
import { until } from '../support/worker.ts'

let stack: TestStack
let sql: Sql
beforeAll(async () => {
  stack = await scheduleStack()
  sql = postgres(stack.databaseUrl, { max: 4, onnotice: () => {} })
})
afterAll(async () => {
  await sql?.end()
  await stack?.dispose()
})

type FaultProxy = Awaited<ReturnType<typeof startProxy>>
type Recorded = { [K in keyof Events]: { name: K } & Events[K] }[keyof Events]

describe.each(['rpc', 'postgres'] as const)('over %s', (kind) => {
  let queue = ''
  let events: Recorded[] = []
  let running: { stop(reason: string): Promise<void> }[] = []
  let proxies: FaultProxy[] = []
  beforeEach(async () => {
    await restoreClock(sql)
    await sql`delete from queue_worker.schedules where true`
    queue = uniqueQueue()
    await sql`select queue_worker.ensure_queue(${queue}, false)`
    events = []
  })
  afterEach(async () => {
    await Promise.all(running.map((one) => one.stop('the test is over')))
    await Promise.all(proxies.map((proxy) => proxy.stop()))
    running = []
    proxies = []
    await createInspector(sql).drop(queue)
  })

  const listener = {
    schedulerStarted: (event: Events['schedulerStarted']) =>
      void events.push({ name: 'schedulerStarted', ...event }),
    ticked: (event: Events['ticked']) => void events.push({ name: 'ticked', ...event }),
    scheduleFailed: (event: Events['scheduleFailed']) =>
      void events.push({ name: 'scheduleFailed', ...event }),
    connectionLost: (event: Events['connectionLost']) =>
      void events.push({ name: 'connectionLost', ...event }),
    connectionBack: (event: Events['connectionBack']) =>
      void events.push({ name: 'connectionBack', ...event }),
  }
  const named = <K extends keyof Events>(name: K) =>
    events.filter((event): event is Extract<Recorded, { name: K }> => event.name === name)
  const ticks = (schedule: string) => ticksOf(sql, schedule)

  async function scheduler(
    settings: Partial<SchedulerSettings> = {},
    connection = openTransport(kind, stack),
  ) {
    const started = createScheduler({
      connection,
      settings: { pollMs: 200, ...settings },
      logger: pino({ level: 'silent' }),
      listeners: [listener],
    })
    running.push(started)
    await started.start()
    return started
  }

  async function worker(connection: Transport, run: (run: unknown) => void): Promise<Worker> {
    const processor = defineProcessor({
      queue,
      payload: z.any(),
      process: (_, { headers }) => run(headers?.['x-run-at']),
    })
    const started = createWorker({
      connection,
      processors: [processor],
      settings: { workerId: 'w', pollIntervalMs: 200, toleratedOutageMs: 500 },
      scheduler: { pollMs: 200 },
      logger: pino({ level: 'silent' }),
      listeners: [listener],
    })
    running.push(started)
    await started.start()
    return started
  }

  async function cuttable(): Promise<{ connection: Transport; proxy: FaultProxy }> {
    const url = new URL(kind === 'rpc' ? stack.url : stack.databaseUrl)
    const proxy = await startProxy({ targetPort: Number(url.port) })
    proxies.push(proxy)
    Object.assign(url, { hostname: '127.0.0.1', port: String(proxy.port) })
    const connection =
      kind === 'rpc'
        ? connectSupabase({ url: url.origin, key: stack.secretKey })
        : connectPostgres({ url: url.href })
    return { connection, proxy }
  }

  test('every second is sent once, in its second, by a scheduler alone and one within a worker that processes them', async () => {
    await addSchedule(sql, { name: 'seconds', queue })
    const processed: unknown[] = []
    await scheduler()
    await worker(openTransport(kind, stack), (run) => processed.push(run))
    await until('some were processed', () => processed.length >= 5, 60_000)
    await sql`update queue_worker.schedules set enabled = false where true`
    const sent = (await ticks('seconds')).map(({ run_at }) => run_at.getTime())
    await until('all were processed', () => processed.length >= sent.length)
    const first = sent[0] ?? 0
    expect(sent).toEqual(sent.map((_, n) => first + n * 1000))
    expect(processed.map((run) => Date.parse(String(run))).toSorted()).toEqual(sent)
    expect(named('schedulerStarted')).toHaveLength(2)
    expect(named('ticked').reduce((sum, { sent }) => sum + sent, 0)).toBe(sent.length)
  })

  test('it sleeps until the next run, and is in time for it', async () => {
    // Two seconds from now at the earliest: the scheduler has started and sleeps by then.
    const at = new Date(Math.ceil(Date.now() / 1000) * 1000 + 4000)
    const cron = `${at.getUTCSeconds()} ${at.getUTCMinutes()} ${at.getUTCHours()} * * *`
    await addSchedule(sql, { name: 'soon', queue, cron })
    const { connection, calls } = counted()
    await scheduler({ pollMs: 3_600_000 }, connection)
    await until('it was sent', async () => (await ticks('soon')).length === 1)
    const [row] =
      await sql`select run_at, extract(epoch from sent_at - run_at)::float as late from queue_worker.ticks`
    expect(row?.run_at).toEqual(at)
    expect(row?.late).toBeGreaterThanOrEqual(0)
    expect(row?.late).toBeLessThan(30)
    // At the start: asked twice, planned. Then: asked, sent. A timer may ring a moment early, and it is asked again.
    expect(calls.filter((call) => call === 'tick').length).toBeLessThanOrEqual(10)
  })

  function counted() {
    const connection = openTransport(kind, stack)
    const calls: string[] = []
    const times: number[] = []
    const call: Transport['call'] = (entryPoint, request) => {
      // The registry has its own pace, of half a minute.
      if (entryPoint === 'beat') return connection.call(entryPoint, request)
      calls.push(entryPoint)
      times.push(performance.now())
      return connection.call(entryPoint, request)
    }
    return { connection: { ...connection, call }, calls, times }
  }

  test('idle, it asks once in each interval and nothing else', async () => {
    await addSchedule(sql, { name: 'rare', queue, cron: '0 0 29 2 *' })
    const { connection, calls, times } = counted()
    await scheduler({ pollMs: 250 }, connection)
    await until('it has slept often', () => calls.length >= 15)
    expect(new Set(calls)).toEqual(new Set(['tick', 'status']))
    // After the start (asked, status, asked, planned) each but one of them came after a whole interval.
    const pauses = times.slice(4).map((time, n) => time - (times[n + 3] ?? 0))
    expect(Math.min(...pauses)).toBeGreaterThan(240)
  })

  test('what is added, changed and paused in SQL is noticed without a restart', async () => {
    await addSchedule(sql, { name: 'other', queue })
    await scheduler()
    await until('it works', async () => (await ticks('other')).length > 0)
    await addSchedule(sql, { name: 'mine', queue, cron: '0 0 1 1 *' })
    await until('it is planned', async () => {
      const [row] = await sql`select next_run_at from queue_worker.schedules where name = 'mine'`
      return row?.next_run_at !== null
    })
    expect(await ticks('mine')).toEqual([])
    await sql`update queue_worker.schedules set cron = '* * * * * *' where name = 'mine'`
    await until('it runs', async () => (await ticks('mine')).length > 1)
    await sql`update queue_worker.schedules set enabled = false where name = 'mine'`
    const [before, others] = [(await ticks('mine')).length, (await ticks('other')).length]
    await until('the other goes on', async () => (await ticks('other')).length > others + 2)
    expect(await ticks('mine')).toHaveLength(before)
  })

  test('what was typed wrong is told once, in the log and in the row, and stops nobody; mended, it runs', async () => {
    await addSchedule(sql, { name: 'cron', queue, cron: 'every day' })
    await addSchedule(sql, { name: 'zone', queue, timezone: 'Europe/Atlantis' })
    await addSchedule(sql, { name: 'queue', queue: 'nowhere' })
    await addSchedule(sql, { name: 'good', queue })
    await scheduler()
    await scheduler()
    await until('all are told', () => named('scheduleFailed').length >= 3)
    await until('the good one runs', async () => (await ticks('good')).length > 2)
    expect(
      Object.fromEntries(named('scheduleFailed').map(({ schedule, error }) => [schedule, error])),
    ).toEqual({
      cron: expect.stringContaining('"every day" is no cron expression'),
      zone: expect.stringContaining('"Europe/Atlantis" is no time zone'),
      queue: expect.stringMatching(/there is no queue "nowhere".*select pgmq.create/),
    })
    expect(named('scheduleFailed')).toHaveLength(3)
    const rows =
      await sql`select name, last_error from queue_worker.schedules where last_error is not null order by 1`
    expect(rows.map(({ name }) => name)).toEqual(['cron', 'queue', 'zone'])
    for (const name of ['cron', 'zone', 'queue']) {
      await sql`update queue_worker.schedules set cron = '* * * * * *', timezone = 'UTC', queue = ${queue} where name = ${name}`
      await until(`${name} runs`, async () => (await ticks(name)).length > 0)
    }
    expect(await sql`select 1 from queue_worker.schedules where last_error is not null`).toEqual([])
  })

  test('runs missed in an outage are skipped, stood for by one, or all sent, in bites', async () => {
    await moveClock(sql, '2026-05-01T08:00:00Z')
    for (const missed of ['skip', 'one', 'all'] as const) {
      await addSchedule(sql, { name: missed, queue, missed, cron: '*/2 * * * *' })
    }
    // Fourteen hours without a scheduler.
    await moveClock(sql, '2026-05-01T22:01:30Z')
    const { connection, calls } = counted()
    await scheduler({}, connection)
    await until('all are sent', async () => (await ticks('all')).length === 420)
    expect(await ticks('skip')).toEqual([])
    expect((await ticks('one')).map(({ run_at }) => run_at)).toEqual([new Date('2026-05-01T22:00:00Z')])
    const all = (await ticks('all')).map(({ run_at }) => run_at.getTime())
    expect(all).toEqual(all.map((_, n) => Date.parse('2026-05-01T08:02:00Z') + n * 120_000))
    const runs = (await runsIn(sql, queue)).filter((run) => run !== '2026-05-01T22:00:00Z')
    expect(runs).toEqual(runs.toSorted())
    // Bounded, so that no call takes long: 420 runs took several.
    const told = named('ticked').filter(({ schedule }) => schedule === 'all')
    expect(told.length).toBeGreaterThan(2)
    expect(Math.max(...told.map(({ sent }) => sent))).toBeLessThanOrEqual(200)
    expect(calls.length).toBeLessThan(20)
    const missed = named('ticked').find(({ schedule }) => schedule === 'skip')
    expect(missed).toEqual({
      ...{ name: 'ticked', schedule: 'skip', sent: 0, lagMs: null },
      missed: { first: new Date('2026-05-01T08:02:00Z'), last: new Date('2026-05-01T22:00:00Z') },
    })
  })

  test('an outage is told once, ends by itself, and what was to be sent meanwhile is', async () => {
    await addSchedule(sql, { name: 'seconds', queue })
    const { connection, proxy } = await cuttable()
    const one = await scheduler({ toleratedOutageMs: 1000 }, connection)
    await until('it works', async () => (await ticks('seconds')).length > 0)
    expect(one.health()).toMatchObject({ ready: true, reason: null, state: 'running', transport: kind })
    proxy.set('hang-up')
    proxy.cut()
    await until('it is not ready', () => !one.health().ready)
    expect(one.health().reason).toMatch(/has not answered for/)
    const kinds = named('connectionLost').map(({ failure }) => `${failure.kind}: ${failure.remedy}`)
    expect(new Set(kinds).size).toBe(kinds.length)
    const back = Date.now()
    proxy.set('pass')
    await until(
      'it works again',
      async () => ((await ticks('seconds')).at(-1)?.run_at.getTime() ?? 0) > back,
      60_000,
    )
    await until('it is ready', () => one.health().ready)
    expect(named('connectionBack')).toHaveLength(1)
    const sent = (await ticks('seconds')).map(({ run_at }) => run_at.getTime())
    expect(sent).toEqual(sent.map((_, n) => (sent[0] ?? 0) + n * 1000))
  })

  test('each answer is lost once: nothing is sent twice', async () => {
    await moveClock(sql, '2026-05-01T08:00:00Z')
    await addSchedule(sql, { name: 'minutes', queue, cron: '* * * * *' })
    await moveClock(sql, '2026-05-01T08:03:00Z')
    const connection = losingAnswers(openTransport(kind, stack))
    await scheduler({}, connection)
    await until('all are sent', async () => (await ticks('minutes')).length === 3)
    await moveClock(sql, '2026-05-01T08:05:00Z')
    await until('the next are sent', async () => (await ticks('minutes')).length === 5)
    expect(connection.lost.filter((entryPoint) => entryPoint === 'tick').length).toBeGreaterThan(2)
    const runs = [1, 2, 3, 4, 5].map((minute) => `2026-05-01T08:0${minute}:00Z`)
    expect(await runsIn(sql, queue)).toEqual(runs)
  })

  test('a row that somebody holds is asked for ever less, and holds up no other', async () => {
    await addSchedule(sql, { name: 'held', queue })
    await addSchedule(sql, { name: 'free', queue })
    const { connection, calls } = counted()
    await scheduler({}, connection)
    await until('both run', async () => (await ticks('held')).length * (await ticks('free')).length > 0)
    await sql.begin(async (person) => {
      await person`select 1 from queue_worker.schedules where name = 'held' for update`
      const [held, free, before] = [(await ticks('held')).length, (await ticks('free')).length, calls.length]
      await until('the other goes on', async () => (await ticks('free')).length > free + 5)
      expect((await ticks('held')).length).toBe(held)
      expect(calls.length - before).toBeLessThan(60)
    })
    await until(
      'it goes on as well',
      async () => (await ticks('held')).length >= (await ticks('free')).length - 1,
    )
  })

  test('a connection that hangs makes it unready, too', async () => {
    const { connection, proxy } = await cuttable()
    const one = await scheduler({ toleratedOutageMs: 1000, pollMs: 100 }, connection)
    proxy.set('silent')
    await until('it is told', () => named('connectionLost').length === 1)
    expect(named('connectionLost')[0]?.failure.message).toMatch(/no answer to a call \(tick\) for/)
    await until('it is not ready', () => !one.health().ready)
  })

  test('is in the registry while it runs, and says when it stops', async () => {
    const workerId = uniqueQueue('scheduler')
    const seen = () =>
      sql`select version, queues, schedules, stopping from queue_worker.workers where worker_id = ${workerId}`
    const one = await scheduler({ workerId })
    await until('it is known', async () => (await seen()).length === 1)
    expect((await seen())[0]).toEqual({
      ...{ version: packageVersion(), queues: [], schedules: true, stopping: false },
    })
    await one.stop('it is enough')
    expect((await seen())[0]).toMatchObject({ stopping: true })
  })

  test('gives up after its time with the failure, and stops', async () => {
    const { connection, proxy } = await cuttable()
    const one = await scheduler({ giveUpSeconds: 1 }, connection)
    proxy.set('hang-up')
    proxy.cut()
    await expect(one.done).rejects.toBeInstanceOf(ConnectionFailure)
    await until('it has stopped', () => one.health().state === 'stopped')
  })

  test('what a person must mend ends the start: a wrong key, or no functions', async () => {
    const database = await createDatabase(stack)
    const wrong: [Transport, string][] =
      kind === 'rpc'
        ? [[connectSupabase({ url: stack.url, key: stack.anonKey }), 'forbidden']]
        : [[connectPostgres({ url: database.url }), 'missing_migration']]
    for (const [connection, failure] of wrong) {
      await expect(scheduler({}, connection)).rejects.toMatchObject({ kind: failure, transient: false })
    }
    await Promise.all(running.map((one) => one.stop('it cannot start')))
    await database.dispose()
  })

  test('stopped before the database has answered, it ends at once', async () => {
    const { connection, proxy } = await cuttable()
    proxy.set('hang-up')
    const one: Scheduler = createScheduler({ connection, logger: pino({ level: 'silent' }) })
    const starting = one.start()
    await one.stop('a signal')
    await starting
    await one.done
    expect(one.health()).toMatchObject({ ready: false, reason: 'the scheduler is stopped' })
  })

  test('stopped in a call, it waits for its answer', async () => {
    await waitForLocks(sql)
    await addSchedule(sql, { name: 'seconds', queue })
    const one = await scheduler()
    await until('it works', async () => (await ticks('seconds')).length > 0)
    let before = 0
    let stopped: Promise<void> | undefined
    let isOver = false
    await sql.begin(async (locker) => {
      await locker`lock table queue_worker.ticks in exclusive mode`
      before = (await ticks('seconds')).length
      const [own] = await locker`select pg_backend_pid() as pid`
      await untilBlockedBy(sql, Number(own?.pid))
      stopped = one.stop('a signal').then(() => {
        isOver = true
      })
      expect(one.health().state).toBe('stopping')
      expect(isOver).toBe(false)
    })
    await stopped
    const sent = (await ticks('seconds')).map(({ run_at }) => run_at.getTime())
    expect(sent.length).toBeGreaterThan(before)
    expect(await runsIn(sql, queue)).toHaveLength(sent.length)
  })

  test('a worker whose scheduler cannot work is not ready, though it reads', async () => {
    const connection = openTransport(kind, stack)
    let isBroken = false
    const half: Transport = {
      ...connection,
      call: async (entryPoint, request) => {
        if (isBroken && entryPoint === 'tick')
          throw new ConnectionFailure('timeout', 'no answer', 'None: a test did it.', true)
        return connection.call(entryPoint, request)
      },
    }
    const one = await worker(half, () => {})
    await until('it schedules', () => named('schedulerStarted').length === 1)
    isBroken = true
    await until('it is not ready', () => !one.health().ready)
    isBroken = false
    await until('it is ready again', () => one.health().ready, 60_000)
    await one.stop('done')
    expect(one.health().state).toBe('stopped')
  })
})
