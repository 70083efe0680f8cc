/** Taking actions back: once, as far as nothing came of them, and never a message that somebody has. */
import { afterEach, expect, test } from 'vitest'
import type { Action } from '../../../src/queue/dashboard.ts'
import type { Suite } from '../../support/bench.ts'
import { outcomes, settling } from '../../support/bench.ts'
import { uniqueQueue } from '../../support/queues.ts'

export const undoSuite: Suite = (bench) => {
  const act = (action: Action) => bench().queue.act(action, 'ann')
  const undo = (auditId: string) => bench().queue.act({ action: 'undo', auditId }, 'bob')
  const canUndo = async (queue: string, id: string) =>
    (await bench().queue.audit({ queue })).find((row) => row.id === id)?.canUndo
  const schedules: string[] = []
  afterEach(async () => {
    await bench().sql`delete from queue_worker.schedules where name = any (${schedules.splice(0)})`
  })

  async function withLetters(count: number): Promise<string> {
    const name = await bench().newQueue(count)
    const read = await bench().read(name)
    await bench().queue.settle(
      read.map((message) => settling(message, outcomes.dead)),
      'w',
    )
    return name
  }

  test('what is undone is told, and is not undone twice, nor is an undo', async () => {
    const name = await bench().newQueue()
    const { auditId } = await act({ action: 'pause', queue: name })
    expect(await canUndo(name, auditId)).toBe(true)
    const undone = await undo(auditId)
    expect(undone).toMatchObject({ count: 1, msgIds: [] })
    expect((await bench().queue.overview([name]))[0]?.paused).toBe(false)
    const [latest, first] = await bench().queue.audit({ queue: name })
    expect(latest).toMatchObject({
      action: 'undo',
      by: 'bob',
      target: { audit_id: auditId, action: 'pause' },
      canUndo: false,
    })
    expect(first).toMatchObject({
      id: auditId,
      undone: { by: 'bob', at: expect.any(String) },
      canUndo: false,
    })
    await expect(undo(auditId)).rejects.toThrow(/was undone already, by bob/)
    await expect(undo(undone.auditId)).rejects.toThrow(/undo cannot be undone/)
    await expect(undo('999999999999')).rejects.toThrow(/there is no action/)
  })

  test('a setting that somebody has changed since is left alone', async () => {
    const name = await bench().newQueue()
    const { auditId } = await act({ action: 'pause', queue: name })
    await bench().queue.setPaused(name, false)
    expect(await canUndo(name, auditId)).toBe(false)
    await expect(undo(auditId)).rejects.toThrow(/nothing of it is left to undo/)
    const schedule = uniqueQueue('schedule')
    schedules.push(schedule)
    const { sql } = bench()
    await sql`insert into queue_worker.schedules (name, cron, queue, message) values (${schedule}, '0 9 * * *', ${name}, '1')`
    const paused = await act({ action: 'enable_schedule', name: schedule, enabled: false })
    await undo(paused.auditId)
    expect(await sql`select enabled from queue_worker.schedules where name = ${schedule}`).toEqual([
      { enabled: true },
    ])
  })

  test('discarded letters come back as they were', async () => {
    const name = await withLetters(3)
    const before = await bench().look.deadLetters(name)
    const { auditId } = await act({ action: 'discard', queue: name, msgIds: ['1', '3'] })
    expect(await canUndo(name, auditId)).toBe(true)
    expect(await undo(auditId)).toMatchObject({ count: 2, msgIds: ['1', '3'] })
    expect(await bench().look.deadLetters(name)).toEqual(before)
    expect(await bench().look.archived(`${name}_dlq`)).toEqual([])
    const again = await act({ action: 'discard', queue: name, all: true })
    await bench().sql`delete from ${bench().look.table('a', `${name}_dlq`)} where msg_id > 0` // pruned
    expect(await canUndo(name, again.auditId)).toBe(false)
    await expect(undo(again.auditId)).rejects.toThrow(/nothing of it is left to undo/)
  })

  test('redriven letters come back as they were, but for those that a worker has read', async () => {
    const name = await withLetters(3)
    const before = await bench().look.deadLetters(name)
    const { auditId, msgIds } = await act({ action: 'redrive', queue: name })
    const [read] = await bench().read(name, { limit: 1 })
    expect(await undo(auditId)).toMatchObject({ count: 2, msgIds: msgIds.slice(1) })
    expect(await bench().look.deadLetters(name)).toEqual(before.slice(1))
    expect((await bench().look.messages(name)).map(({ msg_id }) => msg_id)).toEqual([read?.msgId])
    // With its origin key, whichever way it went.
    const redriven = await bench().queue.redrive(name, {})
    const origins = (await bench().read(name)).map(({ originKey }) => originKey)
    expect(redriven).toHaveLength(2)
    expect(origins).toEqual(before.slice(1).map(({ message }) => message.dead_letter.origin_key))
  })

  test('a redrive that forgot steps is not undone: they would not come back', async () => {
    const name = await withLetters(1)
    const { auditId } = await act({ action: 'redrive', queue: name, forgetUncertain: true })
    expect(await canUndo(name, auditId)).toBe(false)
    await expect(undo(auditId)).rejects.toThrow('redrive cannot be undone')
  })

  test('a sent message is taken back while nobody has read it, and its key with it', async () => {
    const name = await bench().newQueue()
    const send = (message: unknown) => act({ action: 'send', queue: name, message, idempotencyKey: 'k' })
    const { auditId } = await send(1)
    expect(await undo(auditId)).toMatchObject({ count: 1, msgIds: ['1'] })
    expect(await bench().look.messages(name)).toEqual([])
    const second = await send(2)
    expect(second).toMatchObject({ count: 1 })
    await bench().readOne(name)
    expect(await canUndo(name, second.auditId)).toBe(false)
    await expect(undo(second.auditId)).rejects.toThrow(/nothing of it is left to undo/)
    const duplicate = await send(3)
    await expect(undo(duplicate.auditId)).rejects.toThrow(/send cannot be undone/)
  })

  test('a queue that was made anew has none of the messages of the old one', async () => {
    const name = await withLetters(1)
    const discarded = await act({ action: 'discard', queue: name, all: true })
    const sent = await act({ action: 'send', queue: name, message: 1 })
    await bench().look.drop(name)
    for (const { auditId } of [discarded, sent]) expect(await canUndo(name, auditId)).toBe(false)
    await expect(undo(sent.auditId)).rejects.toMatchObject({ kind: 'missing_queue' })
    await bench().queue.ensureQueue(name, { notify: false })
    await bench().queue.send([1, 2].map((message) => ({ queue: name, message })))
    for (const { auditId } of [discarded, sent])
      await expect(undo(auditId)).rejects.toThrow(/nothing of it is left to undo/)
    expect(await bench().look.messages(name)).toHaveLength(2)
  })

  test('with a pgmq that has fewer columns all of this is the same', async () => {
    const name = await withLetters(2)
    for (const table of [`q_${name}`, `a_${name}`, `q_${name}_dlq`, `a_${name}_dlq`])
      await bench().sql.unsafe(
        `alter table pgmq.${table} drop column headers, drop column if exists last_read_at`,
      )
    const before = await bench().look.deadLetters(name)
    for (const action of ['discard', 'redrive'] as const) {
      const { auditId } = await act({ action, queue: name, msgIds: ['1', '2'] })
      expect(await bench().look.deadLetters(name)).toEqual([])
      expect(await undo(auditId)).toMatchObject({ count: 2 })
      expect(await bench().look.deadLetters(name)).toEqual(before)
    }
    const { auditId } = await act({ action: 'send', queue: name, message: 1 })
    expect((await bench().queue.messages(name, { state: 'ready' })).messages).toHaveLength(1)
    expect(await undo(auditId)).toMatchObject({ count: 1 })
  })

  test('undoing while workers read, and twice at once, neither doubles nor loses a message', async () => {
    const name = await withLetters(40)
    const { auditId } = await act({ action: 'redrive', queue: name })
    const read: string[] = []
    const work = async () => {
      for (let i = 0; i < 10; i += 1) {
        const messages = await bench().read(name, { limit: 2 })
        read.push(...messages.map(({ payload }) => JSON.stringify(payload)))
        await bench().queue.settle(
          messages.map((message) => settling(message, 'archive')),
          'w',
        )
      }
    }
    const undone = Promise.allSettled([undo(auditId), undo(auditId)])
    await Promise.all([work(), work(), undone])
    const counts = (await undone).filter(({ status }) => status === 'fulfilled')
    expect(counts.length).toBeLessThanOrEqual(1)
    const back = (await bench().look.deadLetters(name)).map(({ message }) => JSON.stringify(message.message))
    const waiting = (await bench().look.messages(name)).map(({ message }) => JSON.stringify(message))
    const found = [...back, ...read, ...waiting]
    expect(new Set(found).size).toBe(40)
    expect(found.length).toBe(40)
  })
}
