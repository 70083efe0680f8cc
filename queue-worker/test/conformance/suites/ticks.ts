/** Ticks: a run is sent once, whoever asks for it how often; one schedule's trouble is its own. */
import { randomBytes } from 'node:crypto'
import { beforeEach, expect, test } from 'vitest'
import { planRuns } from '../../../src/scheduler/plan.ts'
import { createScheduleRecords, type Due, type Plan } from '../../../src/scheduler/records.ts'
import type { Suite } from '../../support/bench.ts'
import { failureOf } from '../../support/failure.ts'
import { moveClock, passSeconds, runsIn, ticksOf } from '../../support/schedules.ts'

const minute = (n: number) => new Date(Date.UTC(2026, 4, 1, 12, n))

export const tickSuite: Suite = (bench) => {
  const records = () => createScheduleRecords(bench().transport.call)
  beforeEach(async () => {
    await bench().sql`delete from queue_worker.schedules where true`
    await moveClock(bench().sql, '2026-05-01T12:00:00Z')
  })

  /** A schedule of every minute, added at noon; ten minutes later it is due. */
  async function schedule(queue?: string): Promise<{ name: string; queue: string; due: Due }> {
    const name = `s-${randomBytes(6).toString('hex')}`
    const to = queue ?? (await bench().newQueue())
    await moveClock(bench().sql, '2026-05-01T12:00:00Z')
    const own = { cron: '* * * * *', timezone: 'UTC', message: { a: 1 }, headers: { h: 1 } }
    await records().put({ name, queue: to, missed: 'all', ...own })
    await passSeconds(bench().sql, 600)
    return { name, queue: to, due: await dueNow(name) }
  }
  async function dueNow(name: string): Promise<Due> {
    const { due } = await records().tick([], 100)
    return due.find((one) => one.name === name) ?? expect.fail(`${name} is not due`)
  }
  const plan = ({ due }: { due: Due }, runs: readonly Date[], nextRunAt: Date | null = null): Plan => ({
    ...due,
    runs,
    through: runs.at(-1)?.toISOString() ?? due.ranUntil,
    nextRunAt,
  })

  test('a run that one lock held up is still sent, though missed ones are skipped', async () => {
    const { sql, queue, look } = { ...bench(), queue: await bench().newQueue() }
    const name = `s-${randomBytes(6).toString('hex')}`
    const own = { cron: '* * * * *', timezone: 'UTC', message: { a: 1 }, headers: null }
    await records().put({ name, queue, missed: 'skip', ...own })
    await passSeconds(sql, 60)
    const due = async () => (await records().tick([], 100)).due.find((one) => one.name === name)
    const tried = async () => {
      const one = (await due()) ?? expect.fail(`${name} is not due`)
      const now = (await records().tick([], 1)).now
      return (await records().tick([planRuns(one, now, 10).plan], 100)).applied
    }
    await sql.begin(async (holding) => {
      await holding`lock table ${look.table('q', queue)} in access exclusive mode`
      expect(await tried()).toMatchObject([{ status: 'failed', name }])
    })
    await passSeconds(sql, 9)
    expect(await due()).toBe(undefined)
    await passSeconds(sql, 2)
    expect(await tried()).toEqual([{ status: 'ok', name, sent: 1 }])
    expect(await runsIn(sql, queue)).toEqual(['2026-05-01T12:01:00Z'])
  })

  test('runs are sent in their order, and each tells which it is', async () => {
    const one = await schedule()
    const { applied } = await records().tick([plan(one, [1, 2, 3].map(minute), minute(4))], 100)
    expect(applied).toEqual([{ name: one.name, status: 'ok', sent: 3 }])
    const messages = await bench().look.messages(one.queue)
    expect(messages.map(({ message, headers }) => ({ message, headers }))).toEqual(
      ['12:01', '12:02', '12:03'].map((time) => ({
        message: { a: 1 },
        headers: { h: 1, 'x-schedule': one.name, 'x-run-at': `2026-05-01T${time}:00Z` },
      })),
    )
    expect((await ticksOf(bench().sql, one.name)).map(({ run_at, msg_id }) => [run_at, msg_id])).toEqual(
      messages.map(({ msg_id }, n) => [minute(n + 1), msg_id]),
    )
  })

  test('the same plan again, as after a lost answer, does nothing', async () => {
    const one = await schedule()
    const again = plan(one, [minute(1)], minute(2))
    expect((await records().tick([again], 1)).applied).toMatchObject([{ status: 'ok', sent: 1 }])
    expect((await records().tick([again, again], 1)).applied).toEqual(
      Array(2).fill({ name: one.name, status: 'changed' }),
    )
    expect(await runsIn(bench().sql, one.queue)).toHaveLength(1)
  })

  test('of many who send the same run at the same moment one does', async () => {
    const one = await schedule()
    const same = plan(one, [1, 2].map(minute), minute(3))
    const ticks = await Promise.all(Array.from({ length: 20 }, () => records().tick([same], 1)))
    const sent = ticks.flatMap(({ applied }) => applied).filter(({ status }) => status === 'ok')
    expect(sent).toEqual([{ name: one.name, status: 'ok', sent: 2 }])
    expect(await runsIn(bench().sql, one.queue)).toHaveLength(2)
  })

  test('a run that has its tick already is not sent again, whatever the schedule says', async () => {
    const one = await schedule()
    await records().tick([plan(one, [1, 2].map(minute))], 1)
    await bench()
      .sql`update queue_worker.schedules set ran_until = '2026-05-01T12:00:00Z', next_run_at = null`
    const rewound = { ...one, due: await dueNow(one.name) }
    const { applied } = await records().tick([plan(rewound, [1, 2, 3].map(minute))], 1)
    expect(applied).toMatchObject([{ status: 'ok', sent: 1 }])
    expect(await runsIn(bench().sql, one.queue)).toHaveLength(3)
  })

  test('nothing is sent for a time to come, for one dealt with, or of a schedule that was changed', async () => {
    const one = await schedule()
    const good = plan(one, [minute(5)])
    const wrong: Plan[] = [
      plan(one, [minute(5), minute(11)]),
      plan(one, [minute(0)]),
      { ...good, through: minute(4).toISOString() } as Plan,
      { ...good, through: minute(-1).toISOString(), runs: [] } as Plan,
      { ...good, revision: '6a0c1c3e-2a4b-4c57-9d55-3f1d2b0f6a11' },
      { ...good, ranUntil: minute(4).toISOString() },
      { ...good, name: 'nobody' },
    ]
    const { applied } = await records().tick(wrong, 1)
    expect(applied.map(({ status }) => status)).toEqual(wrong.map(() => 'changed'))
    for (const change of [`message = '{}'`, `cron = '1 * * * *'`, 'enabled = false']) {
      const seen = plan({ due: await dueNow(one.name) }, [minute(10)])
      await bench().sql.unsafe(`update queue_worker.schedules set ${change} where name = '${one.name}'`)
      expect((await records().tick([seen], 1)).applied).toMatchObject([{ status: 'changed' }])
    }
    expect(await runsIn(bench().sql, one.queue)).toEqual([])
  })

  test('a schedule that was deleted and made anew is another one', async () => {
    const { sql } = bench()
    const one = await schedule()
    await records().tick([plan(one, [minute(1)], minute(2))], 1)
    const seen = plan({ due: await dueNow(one.name) }, [minute(2)])
    await sql`delete from queue_worker.schedules where name = ${one.name}`
    await sql`insert into queue_worker.schedules (name, cron, queue, message) values (${one.name}, '* * * * *', ${one.queue}, '{}')`
    const { applied, due } = await records().tick([seen], 100)
    expect(applied).toMatchObject([{ status: 'changed' }])
    expect(due.map(({ ranUntil }) => new Date(ranUntil))).toEqual([minute(10)])
    expect(await ticksOf(sql, one.name)).toEqual([])
  })

  test('a new name keeps the ticks', async () => {
    const one = await schedule()
    await records().tick([plan(one, [minute(1)])], 1)
    await bench().sql`update queue_worker.schedules set name = ${`${one.name}-b`} where name = ${one.name}`
    expect(await ticksOf(bench().sql, `${one.name}-b`)).toHaveLength(1)
  })

  test('what cannot run is told once, keeps its runs, is tried again after ten seconds, and hinders no other', async () => {
    const { sql } = bench()
    const [bad, typo, good] = [await schedule(), await schedule(), await schedule()]
    await sql`select pgmq.drop_queue(${bad.queue})`
    const plans: Plan[] = [
      plan(bad, [minute(1)]),
      { ...typo.due, error: 'no cron expression' },
      plan(good, [minute(1)]),
    ]
    const first = await records().tick(plans, 100)
    expect(first.applied).toEqual([
      {
        ...{ name: bad.name, status: 'failed', isNews: true },
        error: `queue-worker: there is no queue "${bad.queue}". Create it: select pgmq.create('${bad.queue}');`,
      },
      { name: typo.name, status: 'failed', error: 'no cron expression', isNews: true },
      { name: good.name, status: 'ok', sent: 1 },
    ])
    expect([first.due, first.nextInMs]).toEqual([[], 10_000])
    expect((await records().tick(plans, 100)).applied).toMatchObject([
      { status: 'failed', isNews: false },
      { status: 'failed', isNews: false },
      { status: 'changed' },
    ])
    const { schedules } = await records().list()
    expect(schedules.flatMap(({ lastError }) => lastError ?? []).sort()).toEqual([
      'no cron expression',
      expect.stringContaining('there is no queue'),
    ])
    await passSeconds(sql, 60)
    await bench().queue.ensureQueue(bad.queue, { notify: false })
    const again = { due: await dueNow(bad.name) }
    expect((await records().tick([plan(again, [minute(1)])], 1)).applied).toMatchObject([{ sent: 1 }])
    expect((await records().list()).schedules.flatMap(({ lastError }) => lastError ?? [])).toEqual([
      'no cron expression',
    ])
  })

  test('somebody who holds a schedule or a queue holds up no other', async () => {
    const { sql } = bench()
    const [held, locked, free] = [await schedule(), await schedule(), await schedule()]
    const plans = [held, locked, free].map((one) => plan(one, [minute(1)]))
    const { applied } = await sql.begin(async (person) => {
      await person`update queue_worker.schedules set message = '1' where name = ${held.name}`
      await person.unsafe(`lock table pgmq.q_${locked.queue} in access exclusive mode`)
      return records().tick(plans, 100)
    })
    expect(applied).toMatchObject([
      { status: 'changed' },
      { status: 'failed', error: expect.stringContaining('lock') },
      { status: 'ok', sent: 1 },
    ])
    expect(await runsIn(sql, free.queue)).toHaveLength(1)
  })

  test('it says what is due, the longest first, and when there will be more', async () => {
    const [a, b] = [await schedule(), await schedule()]
    await records().tick([plan(a, [], minute(5)), plan(b, [], minute(4))], 100)
    const { due, nextInMs } = await records().tick([], 100)
    expect(due.map(({ name }) => name)).toEqual([b.name, a.name])
    expect(nextInMs).toBeNull()
    expect((await records().tick([], 1)).due).toHaveLength(1)
    const later = await records().tick([plan(a, [], minute(12)), plan(b, [], null)], 100)
    expect(later).toMatchObject({ due: [], nextInMs: 120_000, now: minute(10) })
    await bench().sql`update queue_worker.schedules set enabled = false where name = ${a.name}`
    expect(await records().tick([], 100)).toMatchObject({ due: [], nextInMs: null })
  })

  test('ticks are kept for 30 days, the last one for ever', async () => {
    const { sql } = bench()
    const one = await schedule()
    const old = (n: number, days: number) => sql`insert into queue_worker.ticks values
      (${one.name}, ${minute(-n)}, 'q', 1, now() - make_interval(days => ${days}))`
    await moveClock(sql, '2199-01-01T00:00:00Z')
    for (const [n, days] of [
      [1, 31],
      [2, 31],
      [3, 31],
      [4, 29],
    ] as const)
      await old(n, days)
    await sql`update queue_worker.ticks set run_at = run_at - interval '1 year' where schedule = ${one.name}`
    await records().tick([plan({ due: await dueNow(one.name) }, [new Date('2199-01-01T00:00:00Z')])], 1)
    const left = await ticksOf(sql, one.name)
    expect(left).toHaveLength(3)
    expect(left.at(-1)?.run_at).toEqual(new Date('2199-01-01T00:00:00Z'))
  })

  test('plans that make no sense are refused, and none beside them is done', async () => {
    const one = await schedule()
    const good = { ...one.due, ran_until: one.due.ranUntil, runs: [minute(1)], through: minute(1) }
    for (const bad of [{}, { name: one.name }, { ...good, runs: 'x' }, { ...good, revision: 1 }, null, 1]) {
      const call = bench().transport.call('tick', { protocol: 2, plans: [good, bad] })
      expect(await failureOf(call), JSON.stringify(bad)).toMatchObject({ kind: 'rejected' })
    }
    const many = bench().transport.call('tick', { protocol: 2, plans: Array(101).fill(good) })
    expect(await failureOf(many)).toMatchObject({ kind: 'rejected' })
    expect(await runsIn(bench().sql, one.queue)).toEqual([])
  })
}
