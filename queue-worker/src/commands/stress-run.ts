/** A stress test under way: sends at the asked rate, and watches until everything has come to its end. */
import { ConnectionFailure } from '../errors.ts'
import { stressMessage } from '../processors/stress.ts'
import type { Producer } from '../producer.ts'
import { createBell, sleep } from '../utils/sleep.ts'
import type { Io } from './io.ts'
import type { StressFlags } from './stress.ts'
import type { Ledger } from './stress-ledger.ts'
import { showProgress } from './stress-report.ts'

/** Sends without an answer are bounded by number and by bytes in memory. */
const MAX_UNANSWERED = 2000
const MAX_UNANSWERED_BYTES = 32_000_000
const PROGRESS_MS = 2000
/** Without anything happening for this long beside a job's own time, there is no hope. */
const STALL_MS = 60_000

export type StressRun = {
  readonly queue: string
  readonly flags: StressFlags
  readonly ledger: Ledger
  readonly io: Pick<Io, 'err'>
  /** Aborted by a signal, and by what makes going on useless: an Error as its reason. */
  readonly stop: AbortController
}

/**
 * Resolves when all that was asked for was sent, or at once after an abort when the sends in flight are answered.
 * A send that fails for a passing reason is counted and told once; for another it aborts the run with that failure.
 */
export async function sendAll(
  { queue, flags, ledger, io, stop }: StressRun,
  producer: Producer,
): Promise<void> {
  const { messages, size, rate, fail } = flags
  const most = Math.max(1, Math.min(MAX_UNANSWERED, Math.floor(MAX_UNANSWERED_BYTES / size)))
  const answered = createBell()
  const beganMs = performance.now()
  let unanswered = 0

  async function send(n: number): Promise<void> {
    unanswered += 1
    ledger.sending(n)
    try {
      await producer.send(queue, stressMessage(n, size, fail))
      ledger.accepted(n)
    } catch (error) {
      if (!(error instanceof ConnectionFailure) || !error.transient) stop.abort(error)
      else if (ledger.counts.failedSends === 0) io.err(`a send failed: ${error.message}`)
      ledger.failed()
    }
    unanswered -= 1
    answered.ring()
  }

  for (let n = 0; n < messages && !stop.signal.aborted; n += 1) {
    const earlyMs = rate === undefined ? 0 : (n / rate) * 1000 - (performance.now() - beganMs)
    if (earlyMs >= 1) await sleep(earlyMs, stop.signal)
    while (unanswered >= most) await answered.wait(PROGRESS_MS)
    if (!stop.signal.aborted) void send(n)
  }
  while (unanswered > 0) await answered.wait(PROGRESS_MS)
}

/** Resolves when nothing is open any more after `sending`, when the run is aborted, or when nothing happens any more. */
export async function watch({ flags, ledger, io, stop }: StressRun, sending: Promise<void>): Promise<void> {
  const beganMs = performance.now()
  let isSent = false
  void sending.then(() => {
    isSent = true
  })
  let seen = -1
  let changedMs = beganMs
  let toldMs = beganMs
  while (!stop.signal.aborted && !(isSent && ledger.counts.open === 0)) {
    await sleep(20, stop.signal)
    const nowMs = performance.now()
    if (ledger.progress !== seen) changedMs = nowMs
    seen = ledger.progress
    // While sending slowly or for ever, the producer's own time limits see to it that something happens.
    if (isSent && nowMs - changedMs > STALL_MS + flags.durationMs * 2) {
      return io.err(`nothing has happened for ${Math.round((nowMs - changedMs) / 1000)} s; giving up`)
    }
    if (nowMs - toldMs < PROGRESS_MS) continue
    toldMs = nowMs
    io.err(showProgress(ledger.counts, flags.messages, (nowMs - beganMs) / 1000))
  }
}
