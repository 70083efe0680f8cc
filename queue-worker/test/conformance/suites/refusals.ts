/** Settlements that cannot be done: what is refused alone, what is refused whole, what is to be repeated. */
import { expect, test } from 'vitest'
import type { Suite } from '../../support/bench.ts'
import { settling } from '../../support/bench.ts'

export const refusalSuite: Suite = (bench) => {
  test('a settlement that no table takes is rejected alone, and the rest of its batch is settled', async () => {
    const [name, other] = [await bench().newQueue(3), await bench().newQueue(1)]
    const [a, b, c] = await bench().read(name)
    const elsewhere = await bench().readOne(other)
    if (!a || !b || !c) return expect.fail()
    // As after a restored archive: the id is there already.
    await bench().sql`insert into ${bench().look.table('a', name)} (msg_id, read_ct, enqueued_at, vt, message)
      values (${b.msgId}, 1, now(), now(), '{}')`
    const batch = [a, b, c, elsewhere].map((message) => settling(message, 'archive'))
    const results = await bench().queue.settle(batch, 'worker-1')
    expect(results.map(({ status }) => status)).toEqual(['ok', 'rejected', 'ok', 'ok'])
    expect(results[1]?.error).toContain('duplicate key')
    expect((await bench().look.messages(name)).map(({ msg_id }) => msg_id)).toEqual([b.msgId])
    expect(await bench().queue.settle([settling(b, 'retry')], 'worker-1')).toEqual([{ status: 'ok' }])
  })

  test('a malformed settlement is refused before anything is done', async () => {
    const name = await bench().newQueue(1)
    const message = await bench().readOne(name)
    const good = {
      queue: name,
      msg_id: message.msgId,
      delivery: 1,
      enqueued_at: message.enqueuedAt,
      outcome: 'archive',
    }
    const wrong = [
      {},
      7,
      { ...good, outcome: 'explode' },
      { ...good, queue: null },
      { ...good, msg_id: 'x' },
      { ...good, delivery: null },
    ]
    const before = await bench().look.snapshot(name)
    for (const bad of wrong) {
      const request = { protocol: 1, worker_id: 'worker-1', settlements: [good, bad] }
      await expect(bench().transport.call('settle', request)).rejects.toMatchObject({ kind: 'rejected' })
    }
    expect(await bench().look.snapshot(name)).toEqual(before)
  })

  test('a lease without a time is refused, and hides nothing', async () => {
    const name = await bench().newQueue(1)
    const { msgId, enqueuedAt } = await bench().readOne(name)
    const lease = { queue: name, msg_id: msgId, delivery: 1, enqueued_at: enqueuedAt }
    const before = await bench().look.snapshot(name)
    for (const seconds of [undefined, null, 0, -1, 'NaN', 'Infinity', 'soon']) {
      const one = { ...lease, vt_seconds: seconds }
      const extend = bench().transport.call('extend', { protocol: 1, leases: [one] })
      await expect(extend, `${seconds}`).rejects.toMatchObject({ kind: 'rejected' })
      const isolate = bench().transport.call('isolate', { protocol: 1, worker_id: 'w', lease: one })
      await expect(isolate, `${seconds}`).rejects.toMatchObject({ kind: 'rejected' })
    }
    expect(await bench().look.snapshot(name)).toEqual(before)
  })

  test('a retry after NaN is one now, not in ten years', async () => {
    const name = await bench().newQueue(1)
    const { msgId, enqueuedAt } = await bench().readOne(name)
    const settlement = {
      queue: name,
      msg_id: msgId,
      delivery: 1,
      enqueued_at: enqueuedAt,
      outcome: 'retry',
      delay_ms: 'NaN',
    }
    await bench().transport.call('settle', { protocol: 1, worker_id: 'w', settlements: [settlement] })
    expect((await bench().readOne(name)).delivery).toBe(2)
  })

  test('ids that are no list redrive nothing', async () => {
    const name = await bench().newQueue(1)
    await bench().queue.settle([settling(await bench().readOne(name), 'dead')], 'worker-1')
    for (const ids of ['41', 41, { id: 41 }]) {
      const redrive = bench().transport.call('redrive', { protocol: 1, queue: name, msg_ids: ids })
      await expect(redrive).rejects.toMatchObject({ kind: 'rejected' })
    }
    expect(await bench().look.deadLetters(name)).toHaveLength(1)
  })

  test('a passing trouble is no refusal: the whole call fails, nothing of it is done, and it can be repeated', async () => {
    const [name, to] = [await bench().newQueue(2), await bench().newQueue()]
    const [a, b] = await bench().read(name)
    if (!a || !b) return expect.fail()
    const trouble = (table: string) => `
      create function pgmq.trouble_${name}() returns trigger language plpgsql as $$ begin
        raise exception 'a deadlock, as it were' using errcode = '40P01'; end $$;
      create trigger trouble before insert on pgmq.${table} for each row execute function pgmq.trouble_${name}()`
    const batch = [
      settling(a, { kind: 'archive', sends: [{ queue: to, message: 1 }] }),
      settling(b, { kind: 'archive' }),
    ]
    const before = await bench().look.snapshot(name)
    for (const table of [`q_${to}`, `a_${name}`]) {
      await bench().sql.unsafe(trouble(table)).simple()
      await expect(bench().queue.settle(batch, 'worker-1')).rejects.toMatchObject({ transient: true })
      expect(await bench().look.snapshot(name)).toEqual(before)
      expect(await bench().look.messages(to)).toEqual([])
      await bench().sql.unsafe(`drop function pgmq.trouble_${name}() cascade`)
    }
    const results = await bench().queue.settle(batch, 'worker-1')
    expect(results).toEqual([{ status: 'ok' }, { status: 'ok' }])
  })
}
