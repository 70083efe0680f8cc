/**
 * Folds sends that are under way at the same time into few requests. A lone send goes out at once; those that come
 * while enough requests are in flight wait for the next one to return, and go out together.
 */
import { ConnectionFailure } from '../errors.ts'
import type { Queue, Send, SendResult } from './contract.ts'

export type SendBatches = {
  /** Rejects as `Queue.send` does for this one send alone, or with Error once closed. */
  send(send: Send): Promise<SendResult>
  /** Takes no more; resolves when all that was taken has been answered. */
  close(): Promise<void>
}

export type BatchLimits = {
  readonly maxSends: number
  /** Of JSON, over all messages of a batch; a message that is larger goes alone. */
  readonly maxBytes: number
  /** Requests in flight. More would only make them smaller: what waits is what they can be made of. */
  readonly maxInFlight: number
}

const DEFAULT_LIMITS: BatchLimits = { maxSends: 500, maxBytes: 1_000_000, maxInFlight: 4 }

type Entry = {
  readonly send: Send
  readonly bytes: number
  readonly resolve: (result: SendResult) => void
  readonly reject: (error: unknown) => void
}

/** Sends made in the same tick travel together. `send` must do all of a batch or none, as `Queue.send` does. */
export function createSendBatches(send: Queue['send'], limits: BatchLimits = DEFAULT_LIMITS): SendBatches {
  const waiting: Entry[] = []
  const whenIdle: (() => void)[] = []
  let inFlight = 0
  let isFlushDue = false
  let isClosed = false

  function flush(): void {
    isFlushDue = false
    while (waiting.length > 0 && inFlight < limits.maxInFlight) {
      inFlight += 1
      void deliver(byKey(waiting.splice(0, batchLength(waiting, limits)))).then(landed)
    }
  }

  function landed(): void {
    inFlight -= 1
    flush()
    if (inFlight > 0) return
    for (const resolve of whenIdle.splice(0)) resolve()
  }

  /** Never rejects. */
  async function deliver(batch: readonly Entry[]): Promise<void> {
    try {
      const results = await send(batch.map((entry) => entry.send))
      for (const [index, { resolve, reject }] of batch.entries()) {
        const result = results[index]
        if (result === undefined) reject(new Error('the database answered a send with nothing'))
        else resolve(result)
      }
    } catch (error) {
      const parts = partsToTry(batch, error)
      if (parts.length < 2) for (const { reject } of batch) reject(error)
      else for (const part of parts) await deliver(part)
    }
  }

  return {
    send(one) {
      if (isClosed) return Promise.reject(new Error('nothing can be sent any more: the producer was closed'))
      return new Promise((resolve, reject) => {
        waiting.push({ send: one, bytes: Buffer.byteLength(JSON.stringify(one)), resolve, reject })
        if (isFlushDue || inFlight >= limits.maxInFlight) return
        isFlushDue = true
        queueMicrotask(flush)
      })
    },
    close() {
      isClosed = true
      const isIdle = inFlight === 0 && waiting.length === 0
      return isIdle ? Promise.resolve() : new Promise((resolve) => whenIdle.push(resolve))
    },
  }
}

/** How many of those that wait make the next batch. */
function batchLength(waiting: readonly Entry[], { maxSends, maxBytes }: BatchLimits): number {
  let bytes = 0
  const over = waiting.slice(0, maxSends).findIndex((entry) => {
    bytes += entry.bytes
    return bytes > maxBytes
  })
  return over < 0 ? Math.min(waiting.length, maxSends) : Math.max(1, over)
}

/** Sends with a key come last and in one order everywhere: two batches with the same keys must not wait for each other. */
function byKey(batch: readonly Entry[]): readonly Entry[] {
  const keyOf = ({ send }: Entry) =>
    send.idempotencyKey === undefined ? '' : `${send.queue} ${send.idempotencyKey}`
  if (batch.every((entry) => keyOf(entry) === '')) return batch
  return batch.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : keyOf(a) > keyOf(b) ? 1 : 0))
}

/**
 * After a refusal nothing of the batch was done, so its parts can be sent without doubling any: by queue where a queue
 * is what was refused, else by halves until what spoils it is alone. After all other errors nobody knows what was
 * done, or the parts would fare no better: then there are none.
 */
function partsToTry(batch: readonly Entry[], error: unknown): (readonly Entry[])[] {
  // Without a cause it was not refused there: it was done, and we did not understand the answer.
  if (!(error instanceof ConnectionFailure) || error.cause === undefined) return []
  if (error.kind === 'missing_queue' || error.kind === 'forbidden')
    return [...Map.groupBy(batch, ({ send }) => send.queue).values()]
  if (!isRefusal(error)) return []
  const half = Math.ceil(batch.length / 2)
  return [batch.slice(0, half), batch.slice(half)].filter((part) => part.length > 0)
}

/** The database has looked at it and does not want it: as malformed, or by an error with no kind of its own but a code, as triggers of users raise (P0001). */
export function isRefusal({ kind, transient, message }: ConnectionFailure): boolean {
  return (
    kind === 'rejected' ||
    (kind === 'unknown' && !transient && /\((?:[0-9A-Z]{5}|PGRST\d{3})\)$/.test(message))
  )
}
