/** What a dashboard shows of queues, workers and schedules, of a queue's past, of its errors, and of what a message led to. */
import { afterEach, expect, test } from 'vitest'
import type { Suite } from '../../support/bench.ts'
import { settling } from '../../support/bench.ts'
import { uniqueQueue } from '../../support/queues.ts'

const MINUTE = 60_000
const startOf = (ms: number) => new Date(Math.floor(ms / MINUTE) * MINUTE)

export const glanceSuite: Suite = (bench) => {
  const made: string[] = []
  afterEach(async () => {
    const names = made.splice(0)
    await bench().sql`delete from queue_worker.workers where worker_id = any (${names})`
    await bench().sql`delete from queue_worker.schedules where name = any (${names})`
    await bench().sql`delete from queue_worker.arrivals where queue = any (${names})`
    await bench().sql`delete from queue_worker.stats where queue = any (${names})`
  })
  const unique = (prefix: string) => {
    const name = uniqueQueue(prefix)
    made.push(name)
    return name
  }
  const beat = (queues: readonly string[], workerId = unique('worker')) =>
    bench().queue.beat({ workerId, instance: 'a', version: '1', host: 'h', pid: 7, queues, inFlight: 2 })
  const newQueue = async (messages?: number) => {
    const name = await bench().newQueue(messages)
    made.push(name)
    return name
  }
  const past = (name: string, minutes = 60) => {
    const until = new Date(Date.now() + MINUTE)
    const since = new Date(until.getTime() - minutes * MINUTE)
    return bench().queue.history(name, { since, until, stepSeconds: 60 })
  }

  test('a glance has the queues as an overview does, and what happened in the last hour', async () => {
    const name = await newQueue(4)
    await bench().sql`insert into queue_worker.arrivals (queue, minute, last_id, sampled_at)
      select ${name}, m, 0, m from date_trunc('minute', now() - interval '5 minutes') m`
    const [first, second, third] = await bench().read(name)
    if (!first || !second || !third) return expect.fail()
    await bench().queue.settle(
      [settling(first, 'archive'), settling(second, 'retry'), settling(third, 'dead')],
      'worker-1',
    )
    const { now, queues } = await bench().queue.glance([name, 'no_such_queue'])
    expect(Math.abs(Date.parse(now) - Date.now())).toBeLessThan(MINUTE)
    const [{ minutes, ...row } = expect.fail(), ...others] = queues
    expect(others).toEqual([])
    expect([{ ...row, oldestReadySeconds: null }]).toEqual(
      (await bench().queue.overview([name])).map((one) => ({ ...one, oldestReadySeconds: null })),
    )
    const sum = (kind: 'sent' | 'succeeded' | 'failed' | 'dead') =>
      minutes.reduce((total, minute) => total + (minute[kind] ?? 0), 0)
    expect({ sent: sum('sent'), done: sum('succeeded'), failed: sum('failed'), dead: sum('dead') }).toEqual({
      ...{ sent: 4, done: 1, failed: 1, dead: 1 },
    })
    expect(minutes.map(({ minute }) => minute)).toEqual(minutes.map(({ minute }) => minute).toSorted())
    const all = (await bench().queue.glance()).queues.map(({ queue }) => queue)
    expect(all).toContain(name)
    expect(all).not.toContain(`${name}_dlq`)
  })

  test('a glance has workers, those alive first, and schedules with their last and next run', async () => {
    const name = await newQueue()
    const [dead, alive, old] = [unique('a'), unique('b'), unique('c')]
    for (const worker of [dead, alive, old]) await beat([name], worker)
    const { sql } = bench()
    await sql`update queue_worker.workers set seen_at = now() - interval '5 minutes' where worker_id = ${dead}`
    await sql`update queue_worker.workers set seen_at = now() - interval '2 days' where worker_id = ${old}`
    const schedule = unique('s')
    await sql`insert into queue_worker.schedules (name, cron, queue, message) values (${schedule}, '0 9 * * *', ${name}, '1')`
    const glance = () => bench().queue.glance([name])
    const scheduleIn = ({ schedules }: Awaited<ReturnType<typeof glance>>) =>
      schedules.find((one) => one.name === schedule)
    const seen = await glance()
    expect(seen.workers.filter(({ queues }) => queues.includes(name))).toMatchObject([
      { workerId: alive, alive: true, inFlight: 2, pid: 7, schedules: false },
      { workerId: dead, alive: false },
    ])
    const unknown = { lastRunAt: null, lastMsgId: null, lastState: null, nextRunAt: null, lastError: null }
    expect(scheduleIn(seen)).toEqual({
      ...{ name: schedule, cron: '0 9 * * *', timezone: 'UTC', queue: name, enabled: true, ...unknown },
    })
    await sql`update queue_worker.schedules set next_run_at = now() + interval '1 hour' where name = ${schedule}`
    const { msgIds } = await bench().queue.act({ action: 'run_schedule', name: schedule }, 'ann')
    expect(scheduleIn(await glance())).toMatchObject({
      ...{
        lastMsgId: msgIds[0],
        lastState: 'waiting',
        lastRunAt: expect.any(String),
        nextRunAt: expect.any(String),
      },
    })
  })

  test('what was sent is spread over the minutes between two samples, and unknown before the first', async () => {
    const name = await newQueue(60)
    const { sql } = bench()
    await sql`insert into queue_worker.arrivals (queue, minute, last_id, sampled_at)
      select ${name}, date_trunc('minute', x.at), x.id, x.at
      from (select date_trunc('minute', now()) - interval '10 minutes' as at, 0 as id
        union all select date_trunc('minute', now()) - interval '4 minutes', 60) x`
    const points = await past(name)
    expect(points.map(({ sent }) => sent)).toEqual([10, 10, 10, 10, 10, 10])
    expect(points[0]?.at && Date.parse(points[0].at)).toBeGreaterThanOrEqual(
      startOf(Date.now() - 11 * MINUTE).getTime(),
    )
    await sql`update queue_worker.arrivals set last_id = 1000 where queue = ${name} and last_id = 0` // made anew since
    expect((await past(name)).filter(({ sent }) => sent !== null)).toEqual([])
  })

  test('a beat samples its queues once a minute, and none that is missing', async () => {
    const name = await newQueue(3)
    const worker = unique('worker')
    await beat([name, 'no_such_queue'], worker)
    const samples = () =>
      bench()
        .sql`select last_id::int, minute from queue_worker.arrivals where queue in (${name}, 'no_such_queue')`
    const [first, ...others] = await samples()
    expect([first?.last_id, others]).toEqual([3, []])
    await bench().queue.send([{ queue: name, message: 1 }])
    await beat([name], worker)
    const later = await samples()
    expect(later.filter(({ minute }) => minute.getTime() === first?.minute.getTime())).toEqual([first])
  })

  test('history has outcomes and times in steps, and refuses what is no span', async () => {
    const name = await newQueue(3)
    const [first, second, third] = await bench().read(name)
    if (!first || !second || !third) return expect.fail()
    const settle = (message: typeof first, kind: 'archive' | 'delete' | 'snooze', ranMs: number) =>
      bench().queue.settle([{ ...settling(message, kind), ranMs, waitedMs: 2 * ranMs }], 'w')
    await settle(first, 'archive', 10)
    await settle(second, 'delete', 30)
    await settle(third, 'snooze', 0)
    const until = new Date(Date.now() + MINUTE)
    const day = { since: new Date(until.getTime() - 86_400_000), until, stepSeconds: 86_400 + 3600 }
    expect(await bench().queue.history(name, day)).toEqual([
      {
        ...{
          at: expect.any(String),
          sent: null,
          archived: 1,
          deleted: 1,
          retried: 0,
          dead: 0,
          released: 0,
          snoozed: 1,
        },
        ...{ ranMs: 20, ranMsMax: 30, waitedMs: 40, waitedMsMax: 60 },
      },
    ])
    expect(await bench().queue.history('no_such_queue', day)).toEqual([])
    await expect(bench().queue.history(name, { ...day, stepSeconds: 60 })).rejects.toThrow(
      /more than 1000 steps/,
    )
    await expect(bench().queue.history(name, { ...day, until: day.since })).rejects.toThrow(/no span of time/)
  })

  test('errors are grouped by what they begin with, whatever numbers are in them', async () => {
    const name = await newQueue(4)
    const read = await bench().read(name)
    const errors = ['timeout after 5 s: a', 'timeout after 17 s: b', '', 'it never works']
    for (const [i, message] of read.entries()) {
      const error = errors[i] ?? expect.fail()
      const dead = { kind: 'dead', reason: 'unrecoverable', error, attempts: 1 } as const
      await bench().queue.settle(
        [settling(message, i === 3 ? dead : { kind: 'retry', delayMs: 1000, error })],
        'w',
      )
    }
    const span = { since: new Date(Date.now() - MINUTE * 10), until: new Date(Date.now() + MINUTE) }
    const groups = await bench().queue.errorGroups(name, span)
    expect(groups.map(({ error, count, lastError, outcome }) => [error, count, lastError, outcome])).toEqual([
      ['timeout after n s', 2, 'timeout after 17 s: b', 'retry'],
      ['', 1, '', 'retry'],
      ['it never works', 1, 'it never works', 'dead'],
    ])
    expect(groups[0]).toMatchObject({ lastMsgId: read[1]?.msgId, lastAt: expect.any(String) })
    expect(await bench().queue.errorGroups(name, { ...span, until: span.since })).toEqual([])
  })

  test('a message leads to its report and its payments', async () => {
    const key = uniqueQueue('key')
    expect(await bench().queue.related(key)).toEqual({ report: null, payments: [] })
    const { sql } = bench()
    await sql`insert into public.reports (origin_key, report, params, format, time_zone, state, rows, bytes, location, run, finished_at)
      values (${key}, 'daily', '{}', 'csv', 'UTC', 'done', 3, 40, 'reports/a.csv', 'r', now())`
    const [byCreate] = await sql`insert into public.payments (id, amount, currency)
      values (queue_worker.payment_made_by(${key}), 1250, 'EUR') returning id`
    const [byEvent] =
      await sql`insert into public.payments (amount, currency, reference) values (700, 'JPY', 'r') returning id`
    await sql`insert into public.payment_events (provider, event_id, payment_id, type, outcome, status_before, status_after, origin_key)
      values ('sandbox', ${key}, ${byEvent?.id}, 'refund', 'applied', 'new', 'pending', ${key})`
    expect(await bench().queue.related(key)).toEqual({
      report: {
        ...{
          report: 'daily',
          state: 'done',
          format: 'csv',
          title: null,
          location: 'reports/a.csv',
          bytes: 40,
          rows: 3,
        },
        ...{ finishedAt: expect.any(String), error: null },
      },
      payments: [
        {
          id: byCreate?.id,
          reference: null,
          status: 'new',
          amount: '12.50',
          currency: 'EUR',
          updatedAt: expect.any(String),
        },
        {
          id: byEvent?.id,
          reference: 'r',
          status: 'new',
          amount: '700',
          currency: 'JPY',
          updatedAt: expect.any(String),
        },
      ],
    })
    await sql`delete from public.reports where origin_key = ${key}`
    await sql`delete from public.payments where id in (${byCreate?.id}, ${byEvent?.id})`
  })
}
