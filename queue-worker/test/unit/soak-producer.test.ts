/** The producer of a soak says that a message is sent when its transaction is committed, and not before. */
import type { Sql } from 'postgres'
import { expect, test } from 'vitest'
import type { Note } from '../../../soak/journal.ts'
import type { PlannedMessage, Via } from '../../../soak/plan.ts'
import { startSending } from '../../../soak/producer.ts'

const message = (n: number, via: Via): PlannedMessage => {
  const payload = { n, kind: 'quick' as const, ms: 0, times: 0, delaySeconds: 0 }
  return { n, atMs: 0, kind: 'quick', via, twice: false, payload }
}

/** Each transaction ends as the next of these says; after the last, none does. */
async function sendWith(
  via: Via,
  ends: readonly ('commit' | 'cut off' | 'there already')[],
  limitMs: number,
) {
  const left = [...ends]
  const seen: string[] = []
  const begin = async (): Promise<void> => {
    const end = left.shift()
    if (end === undefined) return new Promise(() => {})
    seen.push(end)
    if (end === 'commit') return
    throw Object.assign(new Error(end), { code: end === 'there already' ? '23505' : 'CONNECTION_CLOSED' })
  }
  const journal = { note: (note: Note) => void (note.what === 'sent' && seen.push(`sent ${note.n}`)) }
  const sql = { begin } as unknown as Sql
  const sending = startSending({ messages: [message(1, via)], sql, producers: {}, journal })
  return { isDone: await sending.done(limitMs), seen }
}

test('an order is sent once its transaction is committed', async () => {
  expect(await sendWith('sql', ['commit'], 30_000)).toEqual({ isDone: true, seen: ['commit', 'sent 1'] })
})

test('an order whose commit had no answer is sent once it turns out to be there', async () => {
  expect(await sendWith('sql', ['cut off', 'there already'], 30_000)).toEqual({
    isDone: true,
    seen: ['cut off', 'there already', 'sent 1'],
  })
})

test('an order that was never committed is not sent, nor is one that is rolled back', async () => {
  expect(await sendWith('sql', ['cut off'], 1000)).toEqual({ isDone: false, seen: ['cut off'] })
  expect(await sendWith('rolled_back', ['commit'], 30_000)).toEqual({ isDone: true, seen: ['commit'] })
})
