/** What became of each message of a stress test, by its number. Times are of this process's monotonic clock. */
import type { Listener } from '../engine/events.ts'

export type Figures = {
  /** Sends that were answered, and those that failed. What failed may have arrived all the same. */
  readonly sent: number
  readonly failedSends: number
  /** Messages whose success was recorded. */
  readonly processed: number
  readonly retries: number
  readonly dead: number
  /** Messages that came to their end more than once. */
  readonly doubled: number
  /** Sent, and neither processed nor dead. */
  readonly open: number
  readonly leasesLost: number
  /** From handing a message to the producer to the start of its job, ascending. */
  readonly latenciesMs: Float64Array
  /** From the first send to the last answer of a send, and to the last recorded success. */
  readonly sendSeconds: number
  readonly seconds: number
}

export type Ledger = ReturnType<typeof createLedger>

export function createLedger(messages: number, now: () => number = () => performance.now()) {
  const sentAtMs = new Float64Array(messages).fill(Number.NaN)
  const startedAtMs = new Float64Array(messages).fill(Number.NaN)
  const accepted = new Uint8Array(messages)
  const ends = new Uint8Array(messages)
  const recorded = new Uint8Array(messages)
  const numbers = new Map<string, number>()
  const count = {
    sent: 0,
    failedSends: 0,
    processed: 0,
    retries: 0,
    dead: 0,
    doubled: 0,
    open: 0,
    leasesLost: 0,
  }
  let firstSendMs = Number.NaN
  let lastAnswerMs = Number.NaN
  let lastRecordMs = Number.NaN

  function record(msgId: string, as: 'processed' | 'dead'): void {
    const n = numbers.get(msgId)
    numbers.delete(msgId)
    if (n === undefined || recorded[n] === 1) return
    recorded[n] = 1
    count[as] += 1
    if (accepted[n] === 1) count.open -= 1
    lastRecordMs = now()
  }

  const listener: Listener = {
    settled({ receipt, kind, status }) {
      if (status !== 'ok' && status !== 'already') return
      if (kind === 'archive' || kind === 'delete') record(receipt.msgId, 'processed')
      else if (kind === 'dead') record(receipt.msgId, 'dead')
      else if (kind === 'retry') count.retries += 1
    },
    leaseLost() {
      count.leasesLost += 1
    },
  }

  return {
    listener,
    sending(n: number): void {
      sentAtMs[n] = now()
      if (Number.isNaN(firstSendMs)) firstSendMs = now()
    },
    accepted(n: number): void {
      accepted[n] = 1
      count.sent += 1
      if (recorded[n] === 0) count.open += 1
      lastAnswerMs = now()
    },
    failed(): void {
      count.failedSends += 1
    },
    started(n: number, msgId: string): void {
      numbers.set(msgId, n)
      if (Number.isNaN(startedAtMs[n])) startedAtMs[n] = now()
    },
    ended(n: number): void {
      const times = (ends[n] ?? 0) + 1
      ends[n] = Math.min(times, 255)
      if (times === 2) count.doubled += 1
    },
    /** Grows with everything that happens. */
    get progress(): number {
      return count.sent + count.failedSends + count.processed + count.retries + count.dead
    },
    get counts(): Readonly<typeof count> {
      return count
    },
    figures(): Figures {
      const latenciesMs = startedAtMs
        .map((startedMs, n) => startedMs - (sentAtMs[n] ?? Number.NaN))
        .filter((latencyMs) => !Number.isNaN(latencyMs))
        .sort()
      const seconds = (endMs: number) => (Number.isNaN(endMs) ? 0 : (endMs - firstSendMs) / 1000)
      return { ...count, latenciesMs, sendSeconds: seconds(lastAnswerMs), seconds: seconds(lastRecordMs) }
    },
  }
}
