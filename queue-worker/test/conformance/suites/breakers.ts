/** Breakers: open for all workers after a trip, half-open with one probe at a time, closed by its success. */
import { expect, test } from 'vitest'
import type { QueueState, Settlement, Trip } from '../../../src/queue/contract.ts'
import type { Message } from '../../../src/queue/message.ts'
import type { Suite } from '../../support/bench.ts'
import { outcomes, settling } from '../../support/bench.ts'

const WORKER = 'worker-1'

function tripping(receipt: Message, trip: Trip = { reason: 'it is down' }): Settlement {
  return settling(receipt, { kind: 'snooze', delayMs: 5000, breaker: trip })
}

export const breakerSuite: Suite = (bench) => {
  const demand = (queue: string, limit = 100) => ({ queue, limit, visibilityTimeoutSeconds: 60 })
  async function read(queue: string, limit?: number) {
    const { messages, queues } = await bench().queue.read([demand(queue, limit)], 64e6)
    const [state] = queues
    if (state === undefined) throw new Error('no state')
    return { messages, state }
  }
  const trip = (message: Message | undefined, why?: Trip) => {
    if (message === undefined) throw new Error('there is no message to trip with')
    return bench().queue.settle([tripping(message, why)], WORKER)
  }
  /** A queue whose breaker has been open for its time; the message that tripped it is hidden no longer. */
  async function halfOpen(messages = 20): Promise<string> {
    const name = await bench().newQueue(messages)
    const [first] = (await read(name, 1)).messages
    await trip(first)
    await elapse(name)
    return name
  }
  async function elapse(name: string): Promise<void> {
    await bench().look.pass(name, 100_000)
    await bench().look.expire(name)
  }
  const counted = async (name: string) => (await bench().queue.counts([name]))[0]?.breaker
  const openForMs = async (name: string) => {
    const { state } = await read(name)
    expect(state.status).toBe('breaker_open')
    return state.nextVisibleInMs ?? 0
  }

  test('a trip closes the queue to all, and costs its message nothing', async () => {
    const name = await bench().newQueue(5)
    const [first, ...others] = (await read(name, 3)).messages
    expect(await trip(first, { reason: 'the server refuses connections' })).toEqual([{ status: 'ok' }])
    const { messages, state } = await read(name)
    expect(messages).toEqual([])
    expect(state).toEqual<QueueState>({
      queue: name,
      status: 'breaker_open',
      nextVisibleInMs: expect.any(Number),
      breaker: { state: 'open', reason: 'the server refuses connections', trips: 1 },
    })
    expect(state.nextVisibleInMs).toSatisfy((ms: number) => ms > 3000 && ms <= 6000)
    expect(await counted(name)).toEqual(state.breaker)
    // What runs may finish.
    const archived = await bench().queue.settle(
      others.map((message) => settling(message, 'archive')),
      WORKER,
    )
    expect(archived.map(({ status }) => status)).toEqual(['ok', 'ok'])
    const stored = await bench().look.messages(name)
    const until = await bench().sql`select breaker_until as it from queue_worker.queues where queue = ${name}`
    expect(stored.find(({ msg_id }) => msg_id === first?.msgId)?.vt).toEqual(until[0]?.it)
    expect(await bench().look.outcomes(name)).toMatchObject([
      { msg_id: first?.msgId, outcome: 'snooze', error: 'the server refuses connections' },
    ])
    await elapse(name)
    const again = await read(name)
    expect(again.messages).toHaveLength(1)
    expect(again.messages[0]).toMatchObject({ failures: 0, interruptions: 0 })
  })

  test('many that find out at once are one trip; what was asked for is never shortened', async () => {
    const name = await bench().newQueue(10)
    const { messages } = await read(name, 8)
    await bench().queue.settle(
      messages.slice(0, 3).map((message) => tripping(message)),
      WORKER,
    )
    await Promise.all(messages.slice(3, 5).map((message) => trip(message)))
    expect(await counted(name)).toMatchObject({ trips: 1 })
    expect(await openForMs(name)).toBeLessThanOrEqual(6000)
    await trip(messages[5], { reason: 'too many requests', retryAfterMs: 60_000 })
    const long = await openForMs(name)
    expect(long).toSatisfy((ms: number) => ms > 50_000 && ms <= 60_000)
    await trip(messages[6], { reason: 'too many requests', retryAfterMs: 1000 })
    await trip(messages[7])
    expect(await openForMs(name)).toSatisfy((ms: number) => ms > 50_000 && ms <= long)
    expect(await counted(name)).toMatchObject({ trips: 1, reason: 'it is down' })
  })

  test('the time it is open grows with each trip of a probe, to five minutes; a Retry-After may be longer', async () => {
    const name = await halfOpen()
    const waits = []
    for (let trips = 2; trips <= 9; trips += 1) {
      await trip((await read(name)).messages[0])
      expect(await counted(name)).toMatchObject({ trips })
      waits.push(Math.round(await openForMs(name)) / 1000)
      await elapse(name)
    }
    for (const [index, least] of [10, 20, 40, 80, 160, 300, 300, 300].entries()) {
      expect(waits[index]).toBeGreaterThan(least - 4)
      expect(waits[index]).toBeLessThanOrEqual(least * 1.2)
    }
    await trip((await read(name)).messages[0], { reason: 'tomorrow', retryAfterMs: 7_200_000 })
    expect(await openForMs(name)).toBeGreaterThan(7_100_000)
    await elapse(name)
    await trip((await read(name)).messages[0], { reason: 'never', retryAfterMs: 1e15 })
    expect(await openForMs(name)).toBeLessThanOrEqual(86_400_000 * 1.2)
  })

  test('half-open, four that read at once get one message together; others are told when its lease ends', async () => {
    const name = await halfOpen()
    const reads = await Promise.all([read(name), read(name), read(name), read(name)])
    expect(reads.flatMap(({ messages }) => messages)).toHaveLength(1)
    for (const { state } of reads) {
      expect(state).toMatchObject({ status: 'breaker_half_open', breaker: { state: 'half_open', trips: 1 } })
      expect(state.nextVisibleInMs).toSatisfy((ms: number) => ms > 30_000 && ms <= 60_000)
    }
    expect((await read(name)).messages).toEqual([])
    expect(await counted(name)).toMatchObject({ state: 'half_open' })
  })

  test.each(['archive', 'delete'] as const)('a probe that succeeds (%s) closes it', async (outcome) => {
    const name = await halfOpen()
    const [probe] = (await read(name)).messages
    if (probe) await bench().queue.settle([settling(probe, outcome)], WORKER)
    const { messages, state } = await read(name)
    expect(messages).toHaveLength(19)
    expect(state.status).toBe('ok')
    expect(await counted(name)).toBeNull()
    await bench().look.expire(name)
    await trip((await read(name, 1)).messages[0])
    expect(await counted(name), 'it begins anew').toMatchObject({ trips: 1 })
  })

  test('a probe that succeeds in the same exchange closes it for the read beside it', async () => {
    const name = await halfOpen()
    const [probe] = (await read(name)).messages
    if (!probe) return expect.fail()
    const { read: next } = await bench().queue.exchange(
      [settling(probe, 'archive')],
      WORKER,
      [demand(name)],
      64e6,
    )
    expect(next.messages).toHaveLength(19)
    expect(next.queues[0]?.status).toBe('ok')
  })

  test('a probe whose worker dies is followed by another when its lease has run out, not before', async () => {
    const name = await halfOpen()
    const [probe] = (await read(name)).messages
    if (!probe) return expect.fail()
    await bench().queue.extend([{ receipt: probe, visibilityTimeoutSeconds: 3600 }])
    const waiting = await read(name)
    expect(waiting.messages).toEqual([])
    expect(waiting.state.nextVisibleInMs).toBeGreaterThan(3_000_000)
    await bench().look.expire(name)
    const next = await read(name)
    expect(next.messages).toHaveLength(1)
    expect(next.state.status).toBe('breaker_half_open')
    expect((await read(name)).messages).toEqual([])
  })

  test.each(['retry', 'release', 'snooze', 'dead'] as const)(
    'a probe that ends otherwise (%s) is followed by another at once',
    async (outcome) => {
      const name = await halfOpen()
      const [probe] = (await read(name)).messages
      if (probe) await bench().queue.settle([settling(probe, outcomes[outcome])], WORKER)
      const next = await read(name)
      expect(next.messages).toHaveLength(1)
      expect(next.messages[0]?.msgId).not.toBe(probe?.msgId)
      expect(next.state).toMatchObject({ status: 'breaker_half_open', breaker: { trips: 1 } })
    },
  )

  test('what began before and ends after the probe has begun opens it again, but says nothing of how long it lasts', async () => {
    const name = await bench().newQueue(10)
    const [first, straggler] = (await read(name, 2)).messages
    await trip(first)
    await bench().look.pass(name, 100)
    const [probe] = (await read(name)).messages
    await trip(straggler)
    expect(await counted(name)).toMatchObject({ state: 'open', trips: 1 })
    if (probe) await bench().queue.settle([settling(probe, 'archive')], WORKER)
    await bench().look.pass(name, 100)
    expect((await read(name)).state.status, 'the probe has succeeded meanwhile').toBe('ok')
  })

  test('half-open with nothing due waits for what comes', async () => {
    const name = await halfOpen(1)
    const [probe] = (await read(name)).messages
    if (probe) await bench().queue.settle([settling(probe, 'dead')], WORKER)
    expect(await read(name)).toEqual({
      messages: [],
      state: expect.objectContaining({ status: 'breaker_half_open', nextVisibleInMs: null }),
    })
    await bench().queue.send([{ queue: name, message: 1 }])
    expect((await read(name)).messages).toHaveLength(1)
  })

  test('who resumes the queue closes it; a pause leaves it as it is', async () => {
    const name = await bench().newQueue(5)
    await trip((await read(name, 1)).messages[0])
    await bench().queue.setPaused(name, true)
    expect((await read(name)).state.status).toBe('paused')
    expect(await counted(name)).toMatchObject({ trips: 1 })
    await bench().queue.setPaused(name, false)
    expect(await counted(name)).toBeNull()
    expect((await read(name)).messages).toHaveLength(4)
  })

  test('a trip that comes too late, by the fence, trips nothing', async () => {
    const name = await bench().newQueue(2)
    const [message] = (await read(name, 1)).messages
    await bench().look.expire(name)
    await read(name)
    expect(await trip(message)).toEqual([{ status: 'lost' }])
    expect(await counted(name)).toBeNull()
  })

  test('sent again after a lost answer, a trip is one', async () => {
    const name = await halfOpen()
    const [probe] = (await read(name)).messages
    await trip(probe)
    expect(await trip(probe)).toEqual([{ status: 'already' }])
    expect(await counted(name)).toMatchObject({ trips: 2 })
  })

  test('the probe counts against the rate limit, and waits for it', async () => {
    const name = await halfOpen()
    await bench().queue.setRateLimit(name, { maxMessages: 1, periodSeconds: 3600 })
    const [probe] = (await read(name)).messages
    if (probe) await bench().queue.settle([settling(probe, 'release')], WORKER)
    const next = await read(name)
    expect(next.messages).toEqual([])
    expect(next.state.status).toBe('breaker_half_open')
    expect(next.state.nextVisibleInMs).toBeGreaterThan(3_000_000)
    await bench().look.pass(name, 3700)
    expect((await read(name)).messages).toHaveLength(1)
  })

  test('a malformed trip is refused before anything is done', async () => {
    const name = await bench().newQueue(1)
    const message = await bench().readOne(name)
    const one = { queue: name, msg_id: message.msgId, delivery: 1, enqueued_at: message.enqueuedAt }
    const before = await bench().look.snapshot(name)
    for (const bad of [
      { ...one, outcome: 'archive', breaker: { reason: 'x' } },
      { ...one, outcome: 'snooze', breaker: {} },
      { ...one, outcome: 'snooze', breaker: 'x' },
      { ...one, outcome: 'snooze', breaker: { reason: 7 } },
      { ...one, outcome: 'snooze', breaker: { reason: 'x', retry_after_ms: 'soon' } },
    ]) {
      const request = { protocol: 2, worker_id: WORKER, settlements: [bad] }
      await expect(bench().transport.call('settle', request), JSON.stringify(bad)).rejects.toMatchObject({
        kind: 'rejected',
      })
    }
    expect(await bench().look.snapshot(name)).toEqual(before)
    expect(await counted(name)).toBeNull()
  })

  bench.testMeeting(
    'workers that trip two queues while they read both never lock each other up',
    async () => {
      const names = [await bench().newQueue(200), await bench().newQueue(200)]
      for (const name of names)
        await bench().queue.setRateLimit(name, { maxMessages: 100_000, periodSeconds: 1 })
      const worker = async (mine: string, other: string) => {
        for (let round = 0; round < 15; round += 1) {
          const [message] = (await read(mine, 1)).messages
          const demands = [demand(other, 1), demand(mine, 1)]
          const settlements = message === undefined ? [] : [tripping(message)]
          const { settled } = await bench().queue.exchange(settlements, WORKER, demands, 64e6)
          expect(settled.map(({ status }) => status)).toEqual(settlements.map(() => 'ok'))
          await bench().look.pass(mine, 1000)
        }
      }
      const [a = '', b = ''] = names
      await Promise.all([worker(a, b), worker(b, a), worker(a, b), worker(b, a)])
    },
  )
}
