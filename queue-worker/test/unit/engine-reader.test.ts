/** How many reads are under way at once, with a database made by hand that answers when the test says so. */
import { afterEach, expect, test, vi } from 'vitest'
import type { Consumer } from '../../src/engine/consumer.ts'
import { createOutage } from '../../src/engine/outage.ts'
import { type Reader, startReader } from '../../src/engine/reader.ts'
import { createSettler } from '../../src/engine/settler.ts'
import { ConnectionFailure } from '../../src/errors.ts'
import type { ReadDemand, ReadResult } from '../../src/queue/contract.ts'
import type { Message } from '../../src/queue/message.ts'

type Read = { readonly demands: readonly ReadDemand[] } & PromiseWithResolvers<ReadResult>
const BATCH = 100

/** One queue whose consumer always takes `room` messages, less those that reads under way may bring. */
function bench(room = 3 * BATCH, now = () => performance.now()) {
  const outage = createOutage(now, () => {})
  const reads: Read[] = []
  const taken: number[] = []
  const consumer = {
    queue: 'q',
    running: 0,
    buffered: 0,
    demand: (expected: number) => ({
      queue: 'q',
      limit: Math.max(0, Math.min(BATCH, room - expected)),
      visibilityTimeoutSeconds: 30,
    }),
    accept: (messages: readonly Message[]) => void taken.push(messages.length),
  } as unknown as Consumer
  const queue = {
    transport: 'postgres' as const,
    read(demands: readonly ReadDemand[]) {
      const read = { demands, ...Promise.withResolvers<ReadResult>() }
      reads.push(read)
      return read.promise
    },
    exchange: () => Promise.reject(new Error('a direct connection settles side by side')),
  }
  const reader = startReader({
    queue,
    consumers: [consumer],
    settler: createSettler({ settle: async () => [] }, 'w', outage),
    outage,
    pulse: { turn() {} },
    emit: () => {},
    workerId: 'w',
    pollIntervalMs: 60_000,
    readBytes: 1e6,
    now,
    onRead: () => {},
    onBroken: (error) => {
      throw error
    },
  })
  return { reader, reads, taken }
}

/** What a read says that found so many. */
function found(count: number, nextVisibleInMs: number | null): ReadResult {
  const messages = Array.from({ length: count }, (_, n) => ({ queue: 'q', msgId: String(n) }) as Message)
  return { messages, queues: [{ queue: 'q', status: 'ok', nextVisibleInMs }] }
}

/** Long enough for a read that should not be sent to be sent. */
const rest = async () => {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}
const running: { reader: Reader; reads: Read[] }[] = []
function started(room?: number, now?: () => number) {
  const one = bench(room, now)
  running.push(one)
  return one
}
afterEach(async () => {
  for (const { reader, reads } of running.splice(0)) {
    const stopped = reader.stop()
    for (const read of reads) read.resolve(found(0, null))
    await stopped
  }
})

test('one read at a time, until one could not take all that was due; then two, as long as that is so', async () => {
  const { reader, reads, taken } = started()
  await rest()
  expect(reads).toHaveLength(1)
  reads[0]?.resolve(found(BATCH, 0))
  await rest()
  expect(reads, 'much is waiting').toHaveLength(3)
  reader.freed('q')
  await rest()
  expect(reads, 'never more than two').toHaveLength(3)
  reads[1]?.resolve(found(BATCH, 0))
  await rest()
  expect(reads).toHaveLength(4)
  reads[2]?.resolve(found(7, null))
  await rest()
  expect(reads, 'the end is near: one is enough').toHaveLength(4)
  reads[3]?.resolve(found(0, null))
  await rest()
  expect(reads).toHaveLength(5)
  reads[4]?.resolve(found(0, null))
  await rest()
  expect(reads, 'nothing is there').toHaveLength(5)
  expect(taken.filter((count) => count > 0)).toEqual([BATCH, BATCH, 7])
})

test('what a read under way may bring is not asked for once more', async () => {
  const { reads } = started(BATCH + 20)
  await rest()
  reads[0]?.resolve(found(BATCH, 0))
  await rest()
  expect(reads.slice(1).map(({ demands }) => demands[0]?.limit)).toEqual([BATCH, 20])
})

test('the queue is not empty while another read may bring messages', async () => {
  const { reader, reads } = started()
  await rest()
  reads[0]?.resolve(found(BATCH, 0))
  await rest()
  reads[2]?.resolve(found(0, null))
  await rest()
  expect(reader.exhausted).toBe(false)
  reads[1]?.resolve(found(0, null))
  await rest()
  reads[3]?.resolve(found(0, null))
  await rest()
  expect(reader.exhausted).toBe(true)
})

test('a failure leaves one read at a time, and stopping waits for all that are under way', async () => {
  const { reader, reads } = started()
  await rest()
  reads[0]?.resolve(found(BATCH, 0))
  await rest()
  reads[1]?.reject(new ConnectionFailure('unavailable', 'away', 'wait', true))
  await rest()
  expect(reads).toHaveLength(3)
  let isStopped = false
  const stopped = reader.stop().then(() => {
    isStopped = true
  })
  await rest()
  expect(isStopped).toBe(false)
  reads[2]?.resolve(found(3, null))
  await stopped
  expect(reads).toHaveLength(3)
})

test.each([1, 2, 3, 5, 7, 11, 13])(
  'a queue that is held is asked for again, though each look at the clock takes %i ms',
  async (stepMs) => {
    let ms = 0
    const { reads } = started(BATCH, () => (ms += stepMs))
    for (let read = 0; read < 5; read += 1) {
      await vi.waitUntil(() => reads.length > read, { timeout: 30_000, interval: 1 })
      reads[read]?.resolve({
        messages: [],
        queues: [{ queue: 'q', status: 'limited', nextVisibleInMs: 10 + read }],
      })
    }
    await vi.waitUntil(() => reads.length > 5, { timeout: 30_000, interval: 1 })
  },
)
