/** `queues`: how many messages wait, run, died; once, or live with `--watch`. */
import type { QueueCounts } from '../queue/contract.ts'
import { describeRateLimit } from '../utils/rate-limit.ts'
import { sleep } from '../utils/sleep.ts'
import { EXIT, type ExitCode, type Io } from './io.ts'
import { table } from './table.ts'
import { withQueue } from './with-queue.ts'

const REFRESH_MS = 2000

export async function queues(io: Io, options: { watch?: boolean; json?: boolean }): Promise<ExitCode> {
  const stop = new AbortController()
  io.onStop(() => stop.abort())
  await withQueue(io, async (queue) => {
    do {
      const counts = await queue.counts()
      if (options.watch && io.isTerminal) io.out('\u001b[2J\u001b[H')
      io.out(options.json ? JSON.stringify(counts) : describe(counts))
      if (options.watch) await sleep(REFRESH_MS, stop.signal)
    } while (options.watch && !stop.signal.aborted)
  })
  return EXIT.ok
}

function describe(counts: readonly QueueCounts[]): string {
  if (counts.length === 0) {
    return `There are no queues yet. Create one with: select pgmq.create('email_queue');`
  }
  const rows = counts.map((one) => [
    one.queue,
    String(one.ready),
    String(one.hidden),
    String(one.dead),
    one.oldestReadySeconds === null ? '-' : age(one.oldestReadySeconds),
    held(one),
  ])
  const shown = table(
    ['queue', 'ready', 'in flight or delayed', 'dead', 'oldest ready', ''],
    rows,
    [1, 2, 3, 4],
  )
  const reasons = counts.flatMap(({ queue, breaker }) =>
    breaker === null ? [] : [`${queue}: ${breaker.reason}`],
  )
  return [shown, ...(reasons.length > 0 ? ['', ...reasons] : [])].join('\n')
}

/** What may keep its messages from being read; empty when nothing does. */
export function held({ paused, rateLimit, breaker }: QueueCounts): string {
  const limit = rateLimit === null ? '' : `limit ${describeRateLimit(rateLimit)}, ${rateLimit.left} left`
  const trips = breaker === null ? '' : `breaker ${breaker.state.replace('_', '-')} (trip ${breaker.trips})`
  return [paused ? 'paused' : '', trips, limit].filter((part) => part !== '').join('; ')
}

export function age(seconds: number): string {
  if (seconds < 60) return `${Math.floor(seconds)} s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`
  return `${Math.floor(seconds / 86_400)} d ${Math.floor((seconds % 86_400) / 3600)} h`
}
