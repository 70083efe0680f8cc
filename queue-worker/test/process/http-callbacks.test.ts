/**
 * A worker process that is killed at each step of a callback; another one takes over. What the receiver got is counted at
 * its side. The table in docs/processors/http-callbacks.md says the same.
 */
import { Webhook } from 'standardwebhooks'
import { describe, expect, inject, test, vi } from 'vitest'
import { startReceiver } from '../support/receiver.ts'
import { until } from '../support/worker.ts'
import { openBench } from './bench.ts'
import { SECRET } from './fixtures/http-callbacks.ts'
import type { DeathPoint } from './fixtures/orders.ts'

vi.setConfig({ maxConcurrency: 3 })

type Case = {
  readonly name: string
  /** Left out: it is killed from outside, while the receiver has the request and has not answered. */
  readonly dieAt?: DeathPoint
  /** The receiver's answers, one after the other; the last one stays. */
  readonly answers?: readonly number[]
  /** How often the receiver gets it: before the death, and in the end. */
  readonly received: readonly [number, number]
  readonly deliveries: number
}

const before = (call: string): DeathPoint => ({ call, when: 'before' })
const after = (call: string): DeathPoint => ({ call, when: 'after' })

const cases: readonly Case[] = [
  { name: 'before the request', dieAt: after('ledger_start'), received: [0, 1], deliveries: 2 },
  { name: 'in the request, before the answer', received: [1, 2], deliveries: 2 },
  {
    name: 'after the answer, before the ledger has it',
    dieAt: before('ledger_finish'),
    received: [1, 2],
    deliveries: 2,
  },
  {
    name: 'after the ledger has the answer, before the settle',
    dieAt: before('settle'),
    received: [1, 1],
    deliveries: 2,
  },
  {
    name: 'after the settle, before its answer is seen',
    dieAt: after('settle'),
    received: [1, 1],
    deliveries: 1,
  },
  {
    name: 'after a refusal for now, before it is recorded',
    dieAt: before('settle'),
    answers: [503, 200],
    received: [1, 2],
    deliveries: 2,
  },
]

describe.each(['rpc', 'postgres'] as const)('a worker process over %s that is killed', (kind) => {
  test.concurrent.for(cases.map((one) => [one.name, one] as const))(
    '%s',
    async ([, one], { onTestFinished }) => {
      let isSilent = one.dieAt === undefined
      const receiver = await startReceiver((_request, response) => {
        if (isSilent) return
        const answers = one.answers ?? [200]
        response.writeHead(answers[Math.min(receiver.received.length, answers.length) - 1] ?? 200).end()
      })
      onTestFinished(receiver.stop)
      const bench = await openBench(kind, inject('stack'))
      onTestFinished(() => bench.close())
      const data = { order: 4711, n: 1 }
      await bench.send([{ url: `${receiver.origin}/hook`, data }])

      const orders = { processor: 'http-callbacks.ts' }
      const first = bench.start({ ...orders, ...(one.dieAt ? { dieAt: one.dieAt } : {}) })
      if (one.dieAt === undefined) {
        await until('the receiver has the request', () => receiver.received.length === 1)
        first.signal('SIGKILL')
      }
      expect(await first.exited).toEqual({ code: null, signal: 'SIGKILL' })
      expect(receiver.received).toHaveLength(one.received[0])

      isSilent = false
      const second = bench.start(orders)
      await second.says('started')
      // Only now: a read that the killed one had sent off would take the message, and has come to its end by the time this one reads.
      await bench.look.expire(bench.queue)
      await until('it is archived', async () => (await bench.archivedCount()) === 1)
      second.signal('SIGTERM')
      expect(await second.exited).toEqual({ code: 0, signal: null })

      expect(receiver.received).toHaveLength(one.received[1])
      for (const { body, headers } of receiver.received)
        expect(new Webhook(SECRET).verify(body, headers)).toEqual(data)
      expect(new Set(receiver.received.map(({ headers }) => headers['webhook-id'])).size).toBe(1)
      expect(await bench.waitingCount()).toBe(0)
      const [archived] = await bench.look.archived(bench.queue)
      expect(archived?.read_ct).toBe(one.deliveries)
      expect(await bench.look.deadLetters(bench.queue)).toEqual([])
    },
  )
})
