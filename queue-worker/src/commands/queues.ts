/** `queues`: how many messages wait, run, died; once, or live with `--watch`. */
import type { QueueCounts } from '../queue/contract.ts'
import { createQueue } from '../queue/queue.ts'
import { sleep } from '../utils/sleep.ts'
import { EXIT, type ExitCode, type Io } from './io.ts'
import { openTransport, setUp } from './setup.ts'
import { table } from './table.ts'

const REFRESH_MS = 2000

export async function queues(io: Io, options: { watch?: boolean; json?: boolean }): Promise<ExitCode> {
  const { config, stack } = await setUp(io, { embedded: 'join' })
  const queue = createQueue(openTransport(config))
  const stop = new AbortController()
  io.onStop(() => stop.abort())
  try {
    do {
      const counts = await queue.counts()
      if (options.watch && io.isTerminal) io.out('\u001b[2J\u001b[H')
      io.out(options.json ? JSON.stringify(counts) : describe(counts))
      if (options.watch) await sleep(REFRESH_MS, stop.signal)
    } while (options.watch && !stop.signal.aborted)
    return EXIT.ok
  } finally {
    await queue.close()
    await stack?.stop()
  }
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
    one.paused ? 'paused' : '',
  ])
  return table(['queue', 'ready', 'in flight or delayed', 'dead', 'oldest ready', ''], rows, [1, 2, 3, 4])
}

export function age(seconds: number): string {
  if (seconds < 60) return `${Math.floor(seconds)} s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`
  return `${Math.floor(seconds / 86_400)} d ${Math.floor((seconds % 86_400) / 3600)} h`
}
