/** A settle inside the processor's own transaction, and waking up: what only a direct connection offers. */
import { expect, inject, test, vi } from 'vitest'
import { createQueue, settleOver } from '../../src/queue/queue.ts'
import { conformance, settling } from '../support/bench.ts'
import { openTransport } from '../support/transports.ts'

conformance('transactions and notifications', (bench) => {
  const direct = () => bench().kind === 'postgres'

  test('a settle in a transaction counts only when that commits', async () => {
    if (!direct()) return expect(bench().queue.transaction).toBeUndefined()
    const [name, table] = [await bench().newQueue(2), `public.t_${Date.now()}`]
    await bench().sql.unsafe(`create table ${table} (n int); grant all on ${table} to postgres`)
    const [a, b] = await bench().read(name)
    if (!a || !b) return expect.fail()
    const { transaction } = bench().queue
    if (!transaction) return expect.fail('no transactions over a direct connection')
    const run = (message: typeof a, n: number, fails: boolean) =>
      transaction(async (sql, call) => {
        await sql.unsafe(`insert into ${table} values (${n})`)
        const [result] = await settleOver(call, [settling(message, 'archive')], 'worker-1')
        if (fails || result?.status !== 'ok') throw new Error(`rolled back: ${result?.status}`)
        return result.status
      })
    expect(await run(a, 1, false)).toBe('ok')
    await expect(run(b, 2, true)).rejects.toThrow('rolled back: ok')
    await bench().look.expire(name)
    await bench().readOne(name)
    await expect(run(b, 3, false)).rejects.toThrow('rolled back: lost')
    expect(await bench().sql.unsafe(`select n from ${table}`)).toEqual([{ n: 1 }])
    expect((await bench().look.archived(name)).map(({ msg_id }) => msg_id)).toEqual([a.msgId])
    await bench().sql.unsafe(`drop table ${table}`)
  })

  test('a database that is read-only for now rejects no outcome: the call fails, to be repeated', async () => {
    if (!direct()) return expect(bench().queue.transaction).toBeUndefined()
    const name = await bench().newQueue(1)
    const message = await bench().readOne(name)
    const transaction = bench().queue.transaction?.(async (sql, call) => {
      await sql.unsafe('set transaction read only')
      return settleOver(call, [settling(message, 'archive')], 'worker-1')
    })
    await expect(transaction).rejects.toMatchObject({ kind: 'unavailable', transient: true })
    expect(await bench().queue.settle([settling(message, 'archive')], 'worker-1')).toEqual([{ status: 'ok' }])
  })

  test('a queue made with notify wakes whoever listens, once a statement, with its name', async () => {
    if (!direct()) return expect(bench().queue.listen).toBeUndefined()
    const [loud, quiet] = [await bench().newQueue(), await bench().newQueue()]
    await bench().queue.ensureQueue(loud, { notify: true })
    await bench().queue.ensureQueue(loud, { notify: true })
    const queue = createQueue(openTransport('postgres', inject('stack')))
    const heard: string[] = []
    const stop = await queue.listen?.(
      (name) => void (name.startsWith('t_') && heard.push(name)),
      () => {},
    )
    await bench().queue.send([{ queue: quiet, message: 0 }])
    await bench()
      .sql`select pgmq.send_batch(${loud}::text, (select array_agg(to_jsonb(n)) from generate_series(1, 50) n))`
    await bench().sql`select pgmq.send(${loud}::text, '{}'::jsonb)`
    await vi.waitUntil(() => heard.filter((name) => name === loud).length >= 2, { timeout: 30_000 })
    expect(heard.filter((name) => name === loud)).toHaveLength(2)
    expect(heard).not.toContain(quiet)
    await stop?.()
    await queue.close()
  })
})
