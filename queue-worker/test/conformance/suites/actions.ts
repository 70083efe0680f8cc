/** What a person does from a dashboard: each action, its row in the audit, and that nothing in flight is touched. */
import { afterEach, expect, test, vi } from 'vitest'
import type { Action } from '../../../src/queue/dashboard.ts'
import type { Suite } from '../../support/bench.ts'
import { settling } from '../../support/bench.ts'
import { uniqueQueue } from '../../support/queues.ts'

export const actionsSuite: Suite = (bench) => {
  const act = (action: Action) => bench().queue.act(action, 'ann@example.com')
  const schedules: string[] = []
  afterEach(async () => {
    await bench().sql`delete from queue_worker.schedules where name = any (${schedules.splice(0)})`
  })
  const isPaused = async (queue: string) => (await bench().queue.overview([queue]))[0]?.paused

  /** Messages that end as dead letters, with these errors. */
  async function withLetters(...errors: string[]): Promise<string> {
    const name = await bench().newQueue(errors.length)
    const read = await bench().read(name)
    const dead = (error: string) => ({ kind: 'dead', reason: 'unrecoverable', error, attempts: 1 }) as const
    await bench().queue.settle(
      read.map((message, i) => settling(message, dead(errors[i] ?? ''))),
      'w',
    )
    return name
  }
  const letterIds = async (queue: string) =>
    (await bench().look.deadLetters(queue)).map(({ msg_id }) => msg_id)

  test('an action and its row in the audit commit together, and a refused one leaves nothing', async () => {
    const name = await bench().newQueue()
    const { auditId, ...done } = await act({ action: 'pause', queue: name })
    expect(done).toEqual({ count: 1, lastId: null, msgIds: [] })
    expect(await isPaused(name)).toBe(true)
    await act({ action: 'pause', queue: name })
    await act({ action: 'resume', queue: name })
    expect(await isPaused(name)).toBe(false)
    await expect(act({ action: 'discard', queue: name })).rejects.toThrow(/which dead letters/)
    const rows = await bench().queue.audit({ queue: name })
    expect(
      rows.map(({ action, count, by, target, undone, canUndo }) => ({
        action,
        count,
        by,
        target,
        undone,
        canUndo,
      })),
    ).toEqual(
      [
        { action: 'resume', count: 1, canUndo: true },
        { action: 'pause', count: 0, canUndo: false },
        { action: 'pause', count: 1, canUndo: false },
      ].map((row) => ({ ...row, by: 'ann@example.com', target: {}, undone: null })),
    )
    expect(rows.at(-1)).toMatchObject({ id: auditId, queue: name, at: expect.any(String) })
    const older = await bench().queue.audit({ queue: name, before: rows[0]?.id ?? null, limit: 1 })
    expect(older.map(({ id }) => id)).toEqual([rows[1]?.id])
  })

  test('retry now makes due what waits, and never what is in flight', async () => {
    const name = await bench().newQueue(5)
    await bench().queue.send([{ queue: name, message: 'delayed', delaySeconds: 600 }])
    const read = await bench().read(name, { limit: 4, vt: 600 })
    const kinds = ['retry', 'snooze', 'retry'] as const
    await bench().queue.settle(
      kinds.map((kind, i) => settling(read[i] ?? expect.fail(), kind)),
      'w',
    )
    const before = await bench().look.messages(name)
    const vt = async (id: number) => (await bench().look.messages(name))[id - 1]?.vt.getTime()
    // 4 is in flight, 5 is due already.
    expect(await act({ action: 'retry_now', queue: name, limit: 1 })).toMatchObject({
      msgIds: ['1'],
      lastId: '1',
    })
    expect(await act({ action: 'retry_now', queue: name })).toMatchObject({
      count: 1,
      msgIds: ['3'],
      lastId: null,
    })
    expect(await act({ action: 'retry_now', queue: name })).toMatchObject({
      count: 0,
      msgIds: [],
      lastId: null,
    })
    const given = await act({ action: 'retry_now', queue: name, msgIds: ['2', '4', '5', '6', '99'] })
    expect(given).toMatchObject({ count: 2, msgIds: ['2', '6'], lastId: null })
    expect([await vt(4), await vt(5)]).toEqual([before[3]?.vt.getTime(), before[4]?.vt.getTime()])
    const again = await bench().read(name)
    expect(again.map(({ msgId, failures }) => [msgId, failures])).toEqual([
      ...[
        ['1', 1],
        ['2', 0],
        ['3', 1],
        ['5', 0],
        ['6', 0],
      ],
    ])
    await bench().sql`update ${bench().look.table('q', name)} set vt = now() + interval '1 hour'`
    expect(await act({ action: 'retry_now', queue: name, msgIds: ['1'] })).toMatchObject({ count: 0 })
  })

  test('in bites, retry now leaves alone what has failed again since the first', async () => {
    const name = await bench().newQueue(4)
    const fail = async (limit: number) => {
      const read = await bench().read(name, { limit, vt: 600 })
      await bench().queue.settle(
        read.map((message) => settling(message, 'retry')),
        'w',
      )
    }
    await fail(4)
    const first = await act({ action: 'retry_now', queue: name, limit: 2 })
    expect(first).toMatchObject({ count: 2, msgIds: ['1', '2'] })
    await fail(2)
    await bench()
      .sql`update ${bench().look.table('q', name)} set vt = now() + msg_id * interval '1 minute' where true`
    const begunWith = first.auditId
    expect(await act({ action: 'retry_now', queue: name, limit: 1, begunWith })).toMatchObject({
      msgIds: ['3'],
    })
    expect(await act({ action: 'retry_now', queue: name, begunWith })).toMatchObject({
      msgIds: ['4'],
      lastId: null,
    })
    expect(await act({ action: 'retry_now', queue: name, begunWith })).toMatchObject({
      count: 0,
      lastId: null,
    })
  })

  test('redrive sends letters back as the command does, in bites', async () => {
    const name = await withLetters('a: 1', 'b: 2', 'a: 3')
    const first = await act({ action: 'redrive', queue: name, error: 'A:', limit: 1 })
    expect(first).toMatchObject({ count: 1, lastId: '1', msgIds: ['4'] })
    const filter = { error: 'A:', afterId: first.lastId ?? expect.fail(), limit: 2 }
    expect(await act({ action: 'redrive', queue: name, ...filter })).toMatchObject({
      lastId: null,
      msgIds: ['5'],
    })
    expect(await letterIds(name)).toEqual(['2'])
    const paced = { msgIds: ['2'], perSecond: 5, delaySeconds: 600 }
    await act({ action: 'redrive', queue: name, ...paced })
    expect((await bench().queue.messages(name, { state: 'delayed' })).messages).toMatchObject([
      { msgId: '6' },
    ])
    expect((await bench().read(name)).map(({ payload }) => payload)).toEqual([{ n: 1 }, { n: 3 }])
    const [, row] = await bench().queue.audit({ queue: name })
    expect(row).toMatchObject({
      action: 'redrive',
      target: { error: 'A:', after_id: '1', limit: 2 },
      count: 1,
    })
  })

  test('discard moves letters to the archive of the dead-letter queue', async () => {
    const name = await withLetters('a', 'b')
    const letters = await bench().look.deadLetters(name)
    expect(await act({ action: 'discard', queue: name, msgIds: ['2'] })).toMatchObject({
      count: 1,
      msgIds: ['2'],
    })
    expect(await letterIds(name)).toEqual(['1'])
    const archived = await bench().look.archived(`${name}_dlq`)
    expect(archived.map(({ msg_id, message, enqueued_at }) => ({ msg_id, message, enqueued_at }))).toEqual(
      letters.slice(1).map(({ msg_id, message, enqueued_at }) => ({ msg_id, message, enqueued_at })),
    )
    expect(await act({ action: 'discard', queue: name, all: true })).toMatchObject({ count: 1, lastId: null })
    expect(await letterIds(name)).toEqual([])
  })

  test('send sends, with a key once, and the audit holds no payload', async () => {
    const name = await bench().newQueue()
    const send = {
      action: 'send',
      queue: name,
      message: { secret: 'x' },
      idempotencyKey: 'k',
      delaySeconds: 60,
    } as const
    expect(await act(send)).toMatchObject({ count: 1, msgIds: ['1'] })
    expect(await act(send)).toMatchObject({ count: 0, msgIds: ['1'] })
    expect(await bench().look.messages(name)).toMatchObject([{ message: { secret: 'x' } }])
    const rows = await bench().queue.audit({ queue: name })
    expect(rows.map(({ canUndo, target }) => ({ canUndo, target }))).toEqual([
      { canUndo: false, target: { idempotency_key: 'k', delay_seconds: 60 } },
      { canUndo: true, target: { idempotency_key: 'k', delay_seconds: 60 } },
    ])
    await expect(act({ action: 'send', queue: name, message: 'a\u0000' })).rejects.toThrow(
      /jsonb cannot store/,
    )
  })

  test('a schedule is run beside its times, and paused', async () => {
    const name = await bench().newQueue()
    const schedule = uniqueQueue('schedule')
    schedules.push(schedule)
    const { sql } = bench()
    await sql`insert into queue_worker.schedules (name, cron, queue, message) values (${schedule}, '0 9 * * *', ${name}, '{"n": 9}')`
    const times = () =>
      sql`select revision, ran_until::text, next_run_at::text from queue_worker.schedules where name = ${schedule}`
    const before = await times()
    const ran = await act({ action: 'run_schedule', name: schedule })
    expect(ran).toMatchObject({ count: 1, msgIds: ['1'] })
    expect(await times()).toEqual(before)
    expect(await sql`select msg_id::text from queue_worker.ticks where schedule = ${schedule}`).toEqual([
      { msg_id: '1' },
    ])
    expect(await bench().readOne(name)).toMatchObject({
      payload: { n: 9 },
      headers: { 'x-schedule': schedule },
    })
    await act({ action: 'enable_schedule', name: schedule, enabled: false })
    expect(await sql`select enabled from queue_worker.schedules where name = ${schedule}`).toEqual([
      { enabled: false },
    ])
    const rows = await bench().queue.audit({ queue: name })
    expect(rows.map(({ action, target, canUndo }) => [action, target, canUndo])).toEqual([
      ['enable_schedule', { name: schedule, enabled: false }, true],
      ['run_schedule', { name: schedule }, false],
    ])
    await expect(act({ action: 'run_schedule', name: 'no such' })).rejects.toThrow(
      /there is no schedule "no such"/,
    )
  })

  test('letters that two people redrive and discard at once go one way, each once', async () => {
    const name = await withLetters(...Array.from({ length: 30 }, (_, i) => `${i}`))
    const bites = (action: 'redrive' | 'discard') =>
      Promise.all([1, 2, 3].map(() => act({ action, queue: name, reason: 'unrecoverable', limit: 10 })))
    const [redriven, discarded] = await Promise.all([bites('redrive'), bites('discard')])
    const sum = (done: readonly { count: number }[]) => done.reduce((total, { count }) => total + count, 0)
    expect((await bench().look.messages(name)).length).toBe(sum(redriven))
    expect((await bench().look.archived(`${name}_dlq`)).length).toBe(sum(discarded))
    expect(sum(redriven) + sum(discarded) + (await letterIds(name)).length).toBe(30)
  })

  test('what is done without a dashboard is in the audit when it says by whom', async () => {
    const name = await withLetters('a', 'b', 'c')
    const { queue } = bench()
    await queue.setPaused(name, true, 'cli:ann@host')
    await queue.setRateLimit(name, { maxMessages: 5, periodSeconds: 60 }, 'cli:ann@host')
    const redriven = await queue.redrive(name, { msgIds: ['1'], by: 'cli:ann@host' })
    expect(redriven).toEqual([{ deadMsgId: '1', msgId: '4' }])
    const discarded = await queue.discardDeadLetters(name, { msgIds: ['2'], by: 'cli:ann@host' })
    expect(discarded).toEqual({ discarded: 1, lastId: '2' })
    await queue.discardDeadLetters(name, { msgIds: ['3'] })
    const rows = await queue.audit({ queue: name })
    expect(
      rows.map(({ action, by, count, canUndo, target }) => ({ action, by, count, canUndo, target })),
    ).toEqual(
      [
        { action: 'discard', canUndo: false, target: { msg_ids: ['2'] } },
        { action: 'redrive', canUndo: true, target: { msg_ids: ['1'] } },
        { action: 'limit', canUndo: false, target: { max_messages: 5, period_seconds: 60 } },
        { action: 'pause', canUndo: true, target: {} },
      ].map((row) => ({ ...row, by: 'cli:ann@host', count: 1 })),
    )
    expect((await queue.overview([name]))[0]).toMatchObject({ paused: true, rateLimit: { maxMessages: 5 } })
  })

  test('retry now wakes workers that listen', async () => {
    const name = await bench().newQueue(1)
    await bench().queue.ensureQueue(name, { notify: true })
    await bench().queue.settle([settling(await bench().readOne(name), 'retry')], 'w')
    const heard: string[] = []
    const { unlisten } = await bench().sql.listen('queue_worker', (queue) => heard.push(queue))
    await act({ action: 'retry_now', queue: name })
    await vi.waitUntil(() => heard.includes(name), { timeout: 30_000 })
    await unlisten()
  })

  test('retrying by hand while workers read and settle neither doubles nor loses a message', async () => {
    const name = await bench().newQueue(60)
    const done: string[] = []
    const failOnce = new Set<string>()
    const work = async () => {
      for (let idle = 0; idle < 2; ) {
        const read = await bench().read(name, { limit: 5, vt: 600 })
        idle = read.length === 0 && done.length >= 60 ? idle + 1 : 0
        const settlements = read.map((message) =>
          settling(message, failOnce.has(message.msgId) ? 'archive' : 'retry'),
        )
        const results = await bench().queue.settle(settlements, 'w')
        for (const [i, { receipt, outcome }] of settlements.entries()) {
          expect(results[i]?.status).toBe('ok') // nobody has taken it from its worker
          failOnce.add(receipt.msgId)
          if (outcome.kind === 'archive') done.push(receipt.msgId)
        }
      }
    }
    const retry = async () => {
      while (done.length < 60) {
        const all = Array.from({ length: 60 }, (_, i) => String(i + 1))
        await act({ action: 'retry_now', queue: name, msgIds: all })
        await act({ action: 'retry_now', queue: name })
      }
    }
    await Promise.all([work(), work(), retry()])
    expect(done.length).toBe(60)
    expect(new Set((await bench().look.archived(name)).map(({ msg_id }) => msg_id)).size).toBe(60)
    expect(await bench().look.messages(name)).toEqual([])
  })

  test('what cannot be done is refused with what to do', async () => {
    const name = await bench().newQueue()
    await expect(bench().queue.act({ action: 'pause', queue: name }, '')).rejects.toThrow(/who does this/)
    for (const action of ['pause', 'retry_now', 'redrive'] as const)
      await expect(act({ action, queue: 'no_such_queue' }), action).rejects.toMatchObject({
        kind: 'missing_queue',
      })
    const many = Array.from({ length: 1001 }, (_, i) => String(i))
    await expect(act({ action: 'retry_now', queue: name, msgIds: many })).rejects.toThrow(
      /at most 1000 messages/,
    )
    await expect(act({ action: 'dance' as 'pause', queue: name })).rejects.toThrow(/"dance" is no action/)
  })
}
