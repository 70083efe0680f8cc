/** What this worker did, added up by queue: a listener of its events. */
import type { Listener } from '../../engine/events.ts'
import { TimeLimitError } from '../../errors.ts'
import type { DeadReason, Outcome } from '../../queue/contract.ts'
import { createHistogram, type Histogram, type HistogramNumbers } from './histogram.ts'

/** Why a message failed: what its processor threw is one class, or its time limit; or why it is a dead letter. */
type FailureReason = 'error' | 'time_limit' | DeadReason

export type QueueTally = {
  readonly processed: Readonly<Record<Outcome['kind'], number>>
  readonly failures: Readonly<Record<FailureReason, number>>
  readonly leasesLost: number
  readonly interruptions: number
  readonly runSeconds: HistogramNumbers
  readonly waitSeconds: HistogramNumbers
}

export type Tally = {
  readonly listener: Listener
  read(): Readonly<Record<string, QueueTally>>
}

const RUN_BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800]
const WAIT_BOUNDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600, 14_400, 86_400]

type Counting = {
  processed: Record<Outcome['kind'], number>
  failures: Record<FailureReason, number>
  leasesLost: number
  interruptions: number
  run: Histogram
  wait: Histogram
}

/** All begins with 0, so that the first of a kind shows as a rise. */
function fromZero(): Counting {
  return {
    processed: { archive: 0, delete: 0, retry: 0, dead: 0, release: 0, snooze: 0 },
    failures: {
      error: 0,
      time_limit: 0,
      invalid_payload: 0,
      unrecoverable: 0,
      attempts_exhausted: 0,
      interruptions_exhausted: 0,
    },
    leasesLost: 0,
    interruptions: 0,
    run: createHistogram(RUN_BOUNDS),
    wait: createHistogram(WAIT_BOUNDS),
  }
}

export function createTally(queues: readonly string[]): Tally {
  const all = new Map(queues.map((queue) => [queue, fromZero()]))

  return {
    listener: {
      finished({ message, outcome, ranMs, waitedMs, error }) {
        const one = all.get(message.queue)
        // What is given back was not run.
        if (one === undefined || outcome.kind === 'release') return
        if (ranMs > 0) one.run.observe(ranMs / 1000)
        one.wait.observe(waitedMs / 1000)
        if (outcome.kind === 'dead') one.failures[outcome.reason] += 1
        else if (outcome.kind === 'retry')
          one.failures[error instanceof TimeLimitError ? 'time_limit' : 'error'] += 1
      },
      settled({ receipt, kind, status }) {
        const one = all.get(receipt.queue)
        if (one !== undefined && (status === 'ok' || status === 'already')) one.processed[kind] += 1
      },
      leaseLost({ message }) {
        const one = all.get(message.queue)
        if (one !== undefined) one.leasesLost += 1
      },
      returned({ message }) {
        const one = all.get(message.queue)
        if (one !== undefined) one.interruptions += 1
      },
    },
    read: () =>
      Object.fromEntries(
        [...all].map(([queue, { run, wait, ...counted }]) => [
          queue,
          {
            ...counted,
            processed: { ...counted.processed },
            failures: { ...counted.failures },
            runSeconds: run.read(),
            waitSeconds: wait.read(),
          },
        ]),
      ),
  }
}
