/** Schedules: adding, changing, pausing and removing them by the entry points and in plain SQL, and what is told of them. */
import { randomBytes } from 'node:crypto'
import { beforeEach, expect, test } from 'vitest'
import { createScheduleRecords, type NewSchedule } from '../../../src/scheduler/records.ts'
import type { Suite } from '../../support/bench.ts'
import { settling } from '../../support/bench.ts'
import { failureOf } from '../../support/failure.ts'
import { uniqueQueue } from '../../support/queues.ts'
import { moveClock, passSeconds } from '../../support/schedules.ts'

export const scheduleSuite: Suite = (bench) => {
  const records = () => createScheduleRecords(bench().transport.call)
  const NOON = '2026-05-01T12:00:00.000001Z'
  let name = ''
  beforeEach(async () => {
    name = `s-${randomBytes(6).toString('hex')}`
    await moveClock(bench().sql, NOON)
  })

  async function given(more: Partial<NewSchedule> = {}): Promise<NewSchedule> {
    const queue = more.queue ?? (await bench().newQueue())
    const plain = {
      cron: '0 9 * * *',
      timezone: 'UTC',
      message: { a: 1 },
      missed: 'one',
      headers: null,
    } as const
    return { name, ...plain, ...more, queue }
  }
  const found = async () => {
    const { schedules } = await records().list()
    return schedules.find((one) => one.name === name)
  }
  const row = async () => {
    const [found] = await bench().sql`select * from queue_worker.schedules where name = ${name}`
    return found
  }

  test('one is added, told, changed, and left alone by what changes nothing', async () => {
    const first = await given({ headers: { h: 1 }, missed: 'all', timezone: 'Europe/Berlin' })
    expect(await records().put(first)).toBe('added')
    const { now } = await records().list()
    expect(now.toISOString()).toBe('2026-05-01T12:00:00.000Z')
    expect(await found()).toEqual({ ...first, enabled: true, lastError: null, lastTick: null })
    const before = await row()
    await passSeconds(bench().sql, 60)
    expect(await records().put(first)).toBe('unchanged')
    expect(await row()).toEqual(before)
    expect(await records().put({ ...first, message: [2], missed: 'skip' })).toBe('changed')
    expect(await found()).toMatchObject({ message: [2], missed: 'skip', headers: { h: 1 } })
  })

  test('one that was paused stays so when it is put again, unless that says otherwise', async () => {
    const schedule = await given()
    await records().put(schedule)
    expect(await records().enable(name, false)).toBe(true)
    expect(await records().put({ ...schedule, cron: '0 8 * * *' })).toBe('changed')
    expect(await found()).toMatchObject({ enabled: false, cron: '0 8 * * *' })
    expect(await records().put({ ...schedule, enabled: true })).toBe('changed')
    expect(await found()).toMatchObject({ enabled: true })
  })

  test('one that is not there can be neither paused nor removed, and both say so', async () => {
    expect(await records().enable(name, false)).toBe(false)
    expect(await records().remove(name)).toBe(false)
    await records().put(await given())
    expect(await records().remove(name)).toBe(true)
    expect(await found()).toBeUndefined()
  })

  test('what cannot be is refused, and nothing is kept of it', async () => {
    const missing = uniqueQueue()
    expect(await failureOf(records().put(await given({ queue: missing })))).toMatchObject({
      kind: 'missing_queue',
      message: expect.stringContaining(missing),
    })
    for (const wrong of [
      { name: 'a b' },
      { name: '' },
      { cron: 'x'.repeat(201) },
      { timezone: '' },
      { missed: 'some' as 'one' },
      { message: undefined },
      { headers: [] as unknown as Record<string, unknown> },
    ]) {
      const failure = await failureOf(records().put(await given(wrong)))
      expect(failure, JSON.stringify(wrong)).toMatchObject({ kind: 'rejected', transient: false })
    }
    expect(await found()).toBeUndefined()
  })

  test('in plain SQL: what it is given begins now, and only other times begin anew', async () => {
    const { sql } = bench()
    const queue = await bench().newQueue()
    await sql`insert into queue_worker.schedules (name, cron, queue, message) values (${name}, '* * * * *', ${queue}, '{}')`
    expect(await row()).toMatchObject({ enabled: true, missed: 'one', timezone: 'UTC', next_run_at: null })
    const began = (await row())?.ran_until
    expect(began).toEqual(new Date('2026-05-01T12:00:00.000Z'))

    await passSeconds(sql, 3600)
    await sql`update queue_worker.schedules set next_run_at = now(), last_error = 'e' where name = ${name}`
    const before = await row()
    await sql`update queue_worker.schedules set cron = cron, enabled = true where name = ${name}`
    expect(await row()).toEqual(before)
    await sql`update queue_worker.schedules set message = '{"b": 2}', missed = 'all' where name = ${name}`
    expect(await row()).toMatchObject({ ran_until: began, next_run_at: null, last_error: null })
    expect((await row())?.revision).not.toBe(before?.revision)

    const later = new Date('2026-05-01T13:00:00.000Z')
    for (const change of [
      "cron = '*/2 * * * *'",
      "timezone = 'Asia/Tokyo'",
      'enabled = false',
      'enabled = true',
    ]) {
      await sql`update queue_worker.schedules set ran_until = ${began ?? ''} where name = ${name}`
      await sql.unsafe(`update queue_worker.schedules set ${change} where name = '${name}'`)
      expect((await row())?.ran_until, change).toEqual(later)
    }
    await sql`delete from queue_worker.schedules where name = ${name}`
    await sql`insert into queue_worker.schedules (name, cron, queue, message, ran_until) values (${name}, '* * * * *', ${queue}, '{}', '2000-01-01')`
    expect((await row())?.ran_until).toEqual(later)
  })

  test('a wrong row is refused with the name of its column', async () => {
    const { sql } = bench()
    for (const [column, value] of [
      ['name', 'a b'],
      ['queue', 'UPPER'],
      ['missed', 'some'],
    ] as const) {
      const values = { name, cron: '* * * * *', queue: 'q', message: '{}', missed: 'one', [column]: value }
      await expect(sql`insert into queue_worker.schedules ${sql(values)}`).rejects.toMatchObject({
        code: '23514',
        constraint_name: expect.stringContaining(column),
      })
    }
  })

  test('the list tells what became of the last message, wherever it is by then', async () => {
    const schedule = await given({ cron: '* * * * *', missed: 'all' })
    await records().put(schedule)
    async function send() {
      await passSeconds(bench().sql, 60)
      const { due, now } = await records().tick([], 100)
      const own = due.find((one) => one.name === name) ?? expect.fail('it is not due')
      const run = new Date(Math.floor(now.getTime() / 60_000) * 60_000)
      const through = run.toISOString()
      const plan = { ...own, runs: [run], through, nextRunAt: new Date(run.getTime() + 60_000) }
      expect((await records().tick([plan], 1)).applied).toEqual([{ name, status: 'ok', sent: 1 }])
      const last = (await found())?.lastTick
      expect(last).toMatchObject({ runAt: run, state: 'waiting' })
      const message = await bench().readOne(schedule.queue)
      expect(message.msgId).toBe(last?.msgId)
      return message
    }
    const state = async () => (await found())?.lastTick?.state
    const settle = async (outcome: Parameters<typeof settling>[1], message = send()) =>
      bench().queue.settle([settling(await message, outcome)], 'w')

    const first = await send()
    expect(await state()).toBe('in flight')
    await settle({ kind: 'retry', delayMs: 60_000, error: 'e' }, Promise.resolve(first))
    expect(await state()).toBe('waiting after a failure')
    await bench().look.expire(schedule.queue)
    await settle('archive', bench().readOne(schedule.queue))
    expect(await state()).toBe('archived')
    await settle('dead')
    expect(await state()).toBe('dead letter')
    await settle('delete')
    expect(await state()).toBe('gone')
  })
}
