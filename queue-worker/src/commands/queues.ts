/** `queues`: how many messages wait, run, died, who works on them, and what holds them; once, or live with `--watch`. */
import type { QueueOverview } from '../queue/operator.ts'
import { cleanReply } from '../utils/clean-reply.ts'
import { age } from '../utils/duration.ts'
import { describeRateLimit } from '../utils/rate-limit.ts'
import { sleep } from '../utils/sleep.ts'
import { EXIT, type ExitCode, type Io } from './io.ts'
import { table } from './table.ts'
import { withQueue } from './with-queue.ts'

const REFRESH_MS = 2000
const ERROR_WIDTH = 60
const REASON_WIDTH = 300

const HEAD = [
  ...['queue', 'ready', 'in flight', 'delayed', 'retrying', 'dead', 'oldest ready', 'workers'],
  ...['', 'last error'],
]

export async function queues(io: Io, options: { watch?: boolean; json?: boolean }): Promise<ExitCode> {
  return withQueue(io, async (queue) => {
    const stop = new AbortController()
    io.onStop(() => stop.abort())
    do {
      const found = await queue.overview()
      if (options.watch && io.isTerminal) io.out('\u001b[2J\u001b[H')
      io.out(options.json ? JSON.stringify(found) : describe(found, Date.now()))
      if (options.watch) await sleep(REFRESH_MS, stop.signal)
    } while (options.watch && !stop.signal.aborted)
    return EXIT.ok
  })
}

function describe(found: readonly QueueOverview[], nowMs: number): string {
  if (found.length === 0) {
    return `There are no queues yet. Create one with: select pgmq.create('email_queue');`
  }
  const rows = found.map((one) => [
    one.queue,
    count(one, 'ready'),
    count(one, 'inFlight'),
    count(one, 'delayed'),
    count(one, 'retrying'),
    count(one, 'dead'),
    one.oldestReadySeconds === null ? '-' : age(one.oldestReadySeconds),
    String(one.workers),
    held(one) || (one.workers === 0 && one.ready > 0 ? 'no worker' : ''),
    lastError(one, nowMs),
  ])
  const text = table(HEAD, rows, [1, 2, 3, 4, 5, 6, 7])
  const reasons = found.flatMap(({ queue, breaker }) =>
    breaker === null ? [] : [`${queue}: ${cleanReply(breaker.reason, REASON_WIDTH)}`],
  )
  const isEstimated = found.some(({ estimated }) => estimated.length > 0)
  const notes = [...reasons, ...(isEstimated ? ['~ is an estimate.'] : [])]
  return notes.length === 0 ? text : [text, '', ...notes].join('\n')
}

/** What may keep its messages from being read; empty when nothing does. */
export function held({ paused, rateLimit, breaker }: QueueOverview): string {
  const limit = rateLimit === null ? '' : `limit ${describeRateLimit(rateLimit)}, ${rateLimit.left} left`
  const trips = breaker === null ? '' : `breaker ${breaker.state.replace('_', '-')} (trip ${breaker.trips})`
  return [paused ? 'paused' : '', trips, limit].filter((part) => part !== '').join('; ')
}

function count(one: QueueOverview, state: QueueOverview['estimated'][number]): string {
  return `${one.estimated.includes(state) ? '~' : ''}${one[state]}`
}

function lastError({ lastError, lastErrorAt }: QueueOverview, nowMs: number): string {
  if (lastError === null || lastErrorAt === null) return ''
  const seconds = Math.max(0, (nowMs - Date.parse(lastErrorAt)) / 1000)
  return `${age(seconds)} ago: ${cleanReply(lastError, ERROR_WIDTH)}`
}
