/** The fence: a settle or heartbeat acts only for the newest delivery, and only while that has no outcome yet. */
import type { TransactionSql } from 'postgres'
import { expect, test } from 'vitest'
import type { Settlement } from '../../../src/queue/contract.ts'
import type { Message } from '../../../src/queue/message.ts'
import { settlementRow } from '../../../src/queue/requests.ts'
import type { Bench, Suite } from '../../support/bench.ts'
import { outcomeKinds, settling } from '../../support/bench.ts'
import { untilBlockedBy } from '../../support/queues.ts'

const firsts = [...outcomeKinds, 'another read'] as const

export const fenceSuite: Suite = (bench) => {
  for (const first of firsts) {
    test(`after ${first} every late settle and heartbeat of that delivery changes nothing`, async () => {
      for (const late of outcomeKinds) {
        const name = await bench().newQueue(1)
        const message = await bench().readOne(name)
        if (first === 'another read') {
          await bench().look.expire(name)
          expect(await bench().readOne(name)).toMatchObject({ delivery: 2 })
        } else expect(await settle(bench(), message, first)).toBe('ok')
        const before = await bench().look.snapshot(name)
        expect(await settle(bench(), message, late), late).toBe(expected(first, late))
        expect(await bench().queue.extend([{ receipt: message, visibilityTimeoutSeconds: 1000 }])).toEqual([
          false,
        ])
        expect(
          await bench().queue.isolate({ receipt: message, visibilityTimeoutSeconds: 1000 }, 'worker-1'),
        ).toBe(false)
        expect(await bench().look.snapshot(name)).toEqual(before)
      }
    })
  }

  test('after retry, release, snooze or nothing the next delivery is free again, and the old one stays fenced off', async () => {
    for (const first of ['retry', 'release', 'snooze', null] as const) {
      const name = await bench().newQueue(1)
      const old = await bench().readOne(name)
      if (first !== null) await settle(bench(), old, first)
      await bench().look.expire(name)
      const next = await bench().readOne(name)
      expect(await settle(bench(), old, 'archive')).toBe('lost')
      expect(await settle(bench(), next, 'archive')).toBe('ok')
      expect(await settle(bench(), old, 'archive')).toBe('lost')
      expect(await settle(bench(), next, 'archive')).toBe('already')
    }
  })

  test('a settle for a message of a queue that was dropped and made anew touches no new message', async () => {
    for (const first of ['retry', null] as const) {
      const name = await bench().newQueue(1)
      const old = await bench().readOne(name)
      if (first !== null) await settle(bench(), old, first)
      await bench().sql`select pgmq.drop_queue(${name}::text)`
      await bench().queue.ensureQueue(name, { notify: false })
      await bench().queue.send([{ queue: name, message: 'new' }])
      const fresh = await bench().readOne(name)
      expect(fresh).toMatchObject({ msgId: old.msgId, delivery: old.delivery, failures: 0 })
      expect(fresh.originKey).not.toBe(old.originKey)
      expect(await settle(bench(), old, 'archive')).toBe('lost')
      expect(await bench().queue.extend([{ receipt: old, visibilityTimeoutSeconds: 60 }])).toEqual([false])
      expect(await settle(bench(), fresh, 'archive')).toBe('ok')
    }
  })

  test('of an archive and a retry sent at the same moment exactly one wins', async () => {
    const name = await bench().newQueue(40)
    const messages = await bench().read(name)
    for (const message of messages) {
      const [archive, retry] = await Promise.all([
        settle(bench(), message, 'archive'),
        settle(bench(), message, 'retry'),
      ])
      expect([archive, retry].toSorted()).toEqual(['lost', 'ok'])
    }
    const kept = (await bench().look.messages(name)).length
    const archived = (await bench().look.archived(name)).length
    expect(kept + archived).toBe(40)
    expect(await bench().look.outcomes(name)).toHaveLength(kept)
  })

  bench.testMeeting(
    'a settle that waits for another one of the same delivery sees how that ended',
    async () => {
      for (const ends of ['commit', 'rollback'] as const) {
        for (const first of outcomeKinds) {
          const name = await bench().newQueue(1)
          const message = await bench().readOne(name)
          const late = first === 'archive' ? 'retry' : 'archive'
          const waiting = await whileHeld(bench(), settling(message, first), ends, () =>
            settle(bench(), message, late),
          )
          expect(waiting, `${late} after ${first}, ${ends}`).toBe(ends === 'commit' ? 'lost' : 'ok')
        }
      }
    },
  )

  bench.testMeeting(
    'a heartbeat that waits for a release does not hide the released message again',
    async () => {
      const name = await bench().newQueue(1)
      const message = await bench().readOne(name)
      const beat = () => bench().queue.extend([{ receipt: message, visibilityTimeoutSeconds: 600 }])
      expect(await whileHeld(bench(), settling(message, 'release'), 'commit', beat)).toEqual([false])
      expect(await bench().readOne(name)).toMatchObject({ delivery: 2, interruptions: 0 })
    },
  )

  bench.testMeeting('a release that waits for a heartbeat makes the message visible', async () => {
    const name = await bench().newQueue(1)
    const message = await bench().readOne(name)
    const lease = {
      queue: name,
      msg_id: message.msgId,
      delivery: 1,
      enqueued_at: message.enqueuedAt,
      vt_seconds: 600,
    }
    const beat = (sql: TransactionSql) =>
      sql`select public.queue_worker_extend(${sql.json({ protocol: 1, leases: [lease] })}::jsonb)`
    expect(await whileHeld(bench(), beat, 'commit', () => settle(bench(), message, 'release'))).toBe('ok')
    expect(await bench().readOne(name)).toMatchObject({ delivery: 2 })
  })

  bench.testMeeting(
    'a read passes over a message that is being settled and does not wait for it',
    async () => {
      const name = await bench().newQueue(2)
      const [message] = await bench().read(name, { limit: 1, vt: 0 })
      if (!message) return expect.fail()
      await bench().sql.begin(async (tx) => {
        await settleIn(tx, settling(message, 'archive'))
        expect((await bench().read(name)).map(({ payload }) => payload)).toEqual([{ n: 2 }])
      })
    },
  )

  bench.testMeeting(
    'heartbeats and settles of the same messages in opposite order do not lock each other up',
    async () => {
      const name = await bench().newQueue(200)
      const messages = await bench().read(name, { limit: 200 })
      const upwards = messages.map((receipt) => ({ receipt, visibilityTimeoutSeconds: 60 }))
      const downwards = upwards.toReversed()
      const rounds = Array.from({ length: 10 }, (_, i) => messages.slice(i * 20, i * 20 + 20).toReversed())
      const beats = async (leases: typeof upwards) => {
        for (let i = 0; i < 15; i++) await bench().queue.extend(leases)
      }
      const settles = async () => {
        for (const round of rounds) {
          const results = await bench().queue.settle(
            round.map((message) => settling(message, 'archive')),
            'worker-1',
          )
          expect(results.every(({ status }) => status === 'ok')).toBe(true)
        }
      }
      await Promise.all([beats(upwards), beats(downwards), settles()])
      expect(await bench().look.archived(name)).toHaveLength(200)
    },
  )
}

/** A repeat of the same settle is told so; a delete finds nothing; all else has lost. */
function expected(first: (typeof firsts)[number], late: string): string {
  if (first === 'delete' && late === 'delete') return 'gone'
  if (first === 'archive' && late === 'delete') return 'gone'
  return first === late ? 'already' : 'lost'
}

async function settle(bench: Bench, message: Message, outcome: Parameters<typeof settling>[1]) {
  const [result] = await bench.queue.settle([settling(message, outcome)], 'worker-1')
  return result?.status
}

function settleIn(sql: TransactionSql, settlement: Settlement) {
  const request = { protocol: 1, worker_id: 'worker-2', settlements: [settlementRow(settlement)] }
  return sql`select public.queue_worker_settle(${sql.json(request as never)}::jsonb)`
}

/** Does one thing in a transaction that stays open until the other, started meanwhile, waits for it. */
async function whileHeld<T>(
  bench: Bench,
  first: Settlement | ((sql: TransactionSql) => Promise<unknown>),
  ends: 'commit' | 'rollback',
  other: () => Promise<T>,
): Promise<T> {
  let waiting: Promise<T> | undefined
  const undone = new Error('rolled back by the test')
  await bench.sql
    .begin(async (tx) => {
      await (typeof first === 'function' ? first(tx) : settleIn(tx, first))
      const [self] = await tx`select pg_backend_pid() as pid`
      waiting = other()
      await untilBlockedBy(bench.sql, self?.pid)
      if (ends === 'rollback') throw undone
    })
    .catch((error) => {
      if (error !== undone) throw error
    })
  if (waiting === undefined) throw new Error('nothing was started')
  return waiting
}
