/** `prune`: deletes what is older than it is kept for, bite by bite; for cron. */
import { archiveDays, type Config } from '../config.ts'
import type { Queue } from '../queue/contract.ts'
import { pruneAll } from '../queue/prune-all.ts'
import { EXIT, type ExitCode, type Io } from './io.ts'
import { withQueue } from './with-queue.ts'

export async function prune(io: Io, options: { days?: number; json?: boolean }): Promise<ExitCode> {
  return withQueue(io, async (queue, config) => {
    const stop = new AbortController()
    io.onStop(() => stop.abort())
    const days = options.days ?? config.retention.days
    const deleted = await pruneAsConfigured(
      queue,
      { ...config, retention: { ...config.retention, days } },
      stop.signal,
    )
    if (options.json) io.out(JSON.stringify({ deleted }))
    else io.out(describe(deleted))
    return stop.signal.aborted ? EXIT.failed : EXIT.ok
  })
}

/** Everything that the settings say is old enough; returns how many rows of each kind went. */
export async function pruneAsConfigured(
  queue: Queue,
  config: Pick<Config, 'retention' | 'overrides'>,
  signal?: AbortSignal,
): Promise<Record<string, number>> {
  const names = (await queue.overview()).map((one) => one.queue)
  return pruneAll(queue, { days: config.retention.days, archiveDays: archiveDays(config, names) }, signal)
}

function describe(deleted: Readonly<Record<string, number>>): string {
  const parts = Object.entries(deleted).map(([kind, count]) => `${kind.padEnd(30)} ${count}`)
  return parts.length === 0 ? 'nothing was old enough' : `deleted:\n${parts.join('\n')}`
}
