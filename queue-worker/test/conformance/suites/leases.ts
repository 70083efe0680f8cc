/** Heartbeats, suspects that run alone, and pausing. */
import { expect, test } from 'vitest'
import type { Message } from '../../../src/queue/message.ts'
import type { Suite } from '../../support/bench.ts'
import { settling } from '../../support/bench.ts'

const lease = (receipt: Message, visibilityTimeoutSeconds: number) => ({ receipt, visibilityTimeoutSeconds })

export const leaseSuite: Suite = (bench) => {
  const hiddenFor = async (name: string) => {
    const rows = await bench().sql`
      select extract(epoch from vt - clock_timestamp())::float8 as seconds from ${bench().look.table('q', name)} order by msg_id`
    return rows.map(({ seconds }) => seconds as number)
  }

  test('a heartbeat extends a lease and never shortens one', async () => {
    const name = await bench().newQueue(1)
    const [message] = await bench().read(name, { vt: 30 })
    if (!message) return expect.fail()
    expect(await bench().queue.extend([lease(message, 600)])).toEqual([true])
    expect((await hiddenFor(name))[0]).toSatisfy((s: number) => s > 300 && s <= 600)
    expect(await bench().queue.extend([lease(message, 5)])).toEqual([true])
    expect((await hiddenFor(name))[0]).toBeGreaterThan(300)
  })

  test('one call extends leases of several queues and says in the same order which are lost', async () => {
    const [a, b] = [await bench().newQueue(2), await bench().newQueue(2)]
    const [a1, a2] = await bench().read(a)
    const [b1, b2] = await bench().read(b)
    if (!a1 || !a2 || !b1 || !b2) return expect.fail()
    await bench().queue.settle([settling(b1, 'archive')], 'worker-1')
    const unknown = { ...a1, queue: 'no_such_queue' }
    const leases = [b2, a2, b1, unknown, a1, { ...a1, delivery: 2 }].map((message) => lease(message, 900))
    expect(await bench().queue.extend(leases)).toEqual([true, true, false, false, true, false])
    expect([...(await hiddenFor(a)), ...(await hiddenFor(b))].every((s) => s > 600)).toBe(true)
    expect(await bench().queue.extend([])).toEqual([])
  })

  test('a lease that ran out is still ours until somebody else reads the message', async () => {
    const name = await bench().newQueue(1)
    const [message] = await bench().read(name, { vt: 0 })
    if (!message) return expect.fail()
    expect(await bench().queue.extend([lease(message, 60)])).toEqual([true])
    expect(await bench().read(name)).toEqual([])
    await bench().look.expire(name)
    await bench().readOne(name)
    expect(await bench().queue.extend([lease(message, 60)])).toEqual([false])
  })

  test('only a death while running alone counts as one', async () => {
    const name = await bench().newQueue(1)
    const history = []
    const plan = ['crash', 'crash alone', 'retry alone', 'crash alone', 'release alone'] as const
    for (const step of plan) {
      const message = await bench().readOne(name)
      history.push([message.interruptions, message.diedAlone])
      if (step.endsWith('alone')) {
        expect(await bench().queue.isolate(lease(message, 300), 'worker-1')).toBe(true)
        expect((await hiddenFor(name))[0]).toBeGreaterThan(100)
      }
      const outcome = step.split(' ')[0]
      if (outcome === 'retry' || outcome === 'release')
        await bench().queue.settle([settling(message, outcome)], 'worker-1')
      await bench().look.expire(name)
    }
    const last = await bench().readOne(name)
    history.push([last.interruptions, last.diedAlone])
    expect(history).toEqual([
      [0, 0],
      [1, 0],
      [2, 1],
      [2, 1],
      [3, 2],
      [3, 2],
    ])
  })

  test('a lost lease cannot be isolated, and nothing is recorded', async () => {
    const name = await bench().newQueue(1)
    const message = await bench().readOne(name)
    await bench().look.expire(name)
    await bench().readOne(name)
    expect(await bench().queue.isolate(lease(message, 60), 'worker-1')).toBe(false)
    expect(await bench().sql`select from queue_worker.isolations where queue = ${name}`).toHaveLength(0)
  })

  test('a paused queue gives nothing, while what is in flight goes on, and gives again when resumed', async () => {
    const name = await bench().newQueue(2)
    const [held] = await bench().read(name, { limit: 1 })
    if (!held) return expect.fail()
    await bench().queue.setPaused(name, true)
    expect(await bench().read(name)).toEqual([])
    expect((await bench().queue.counts([name]))[0]).toMatchObject({ paused: true, ready: 1, hidden: 1 })
    await bench().queue.send([{ queue: name, message: { n: 3 } }])
    expect(await bench().queue.extend([lease(held, 60)])).toEqual([true])
    expect(await bench().queue.settle([settling(held, 'archive')], 'worker-1')).toEqual([{ status: 'ok' }])
    await bench().queue.ensureQueue(name, { notify: false })
    expect(await bench().read(name), 'a worker that starts does not resume it').toEqual([])
    await bench().queue.setPaused(name, false)
    expect(await bench().read(name)).toHaveLength(2)
  })

  test('pausing a queue that does not exist names it', async () => {
    await expect(bench().queue.setPaused('no_such_queue', true)).rejects.toMatchObject({
      kind: 'missing_queue',
      message: expect.stringContaining('no_such_queue'),
    })
  })
}
