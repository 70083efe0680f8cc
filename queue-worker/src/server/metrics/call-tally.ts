/** How the database answered this process, by kind of call, and how late runs of schedules were sent: a listener of events. */
import type { Listener } from '../../engine/events.ts'
import type { CallKind } from '../../engine/part-health.ts'
import { createHistogram, type Histogram, type HistogramNumbers } from './histogram.ts'

export type CallTally = {
  readonly calls: Readonly<
    Record<CallKind, { readonly seconds: HistogramNumbers; readonly failures: number }>
  >
  readonly scheduleRuns: number
  readonly scheduleLagSeconds: HistogramNumbers
}

const CALL_BOUNDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
const LAG_BOUNDS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14_400, 86_400]

type Counting = { seconds: Histogram; failures: number }

export function createCallTally(): { readonly listener: Listener; read(): CallTally } {
  const fromZero = (): Counting => ({ seconds: createHistogram(CALL_BOUNDS), failures: 0 })
  const calls: Record<CallKind, Counting> = {
    ...{ read: fromZero(), settle: fromZero(), extend: fromZero(), isolate: fromZero() },
    ...{ ledger: fromZero(), beat: fromZero(), tick: fromZero() },
  }
  const lag = createHistogram(LAG_BOUNDS)
  let runs = 0
  const read = ({ seconds, failures }: Counting) => ({ seconds: seconds.read(), failures })

  return {
    listener: {
      called({ call, durationMs, failure }) {
        calls[call].seconds.observe(durationMs / 1000)
        if (failure !== null) calls[call].failures += 1
      },
      ticked({ sent, lagMs }) {
        runs += sent
        if (lagMs !== null) lag.observe(lagMs / 1000)
      },
    },
    read: () => ({
      calls: {
        ...{ read: read(calls.read), settle: read(calls.settle), extend: read(calls.extend) },
        ...{ isolate: read(calls.isolate), ledger: read(calls.ledger), beat: read(calls.beat) },
        tick: read(calls.tick),
      },
      scheduleRuns: runs,
      scheduleLagSeconds: lag.read(),
    }),
  }
}
