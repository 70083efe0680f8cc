/** `prune`: deletes what is older than it is kept for, bite by bite; for cron. */
import { archiveDays, type Config } from '../config.ts'
import type { PruneOver } from '../library.ts'
import { pruneAll } from '../queue/prune-all.ts'
import { EXIT, type ExitCode, type Io } from './io.ts'
import { withQueue } from './with-queue.ts'

export async function prune(io: Io, options: { days?: number; json?: boolean }): Promise<ExitCode> {
  return withQueue(io, async (queue, config) => {
    const stop = new AbortController()
    io.onStop(() => stop.abort())
    const days = options.days ?? config.retention.days
    const prune = pruneBy({ ...config, retention: { ...config.retention, days } })
    const deleted = await prune(queue, stop.signal)
    if (options.json) io.out(JSON.stringify({ deleted }))
    else io.out(describe(deleted))
    return stop.signal.aborted ? EXIT.failed : EXIT.ok
  })
}

/** Deletes everything that the settings say is old enough. */
export function pruneBy(config: Pick<Config, 'retention' | 'overrides'>): PruneOver {
  return async (queue, signal) => {
    const names = (await queue.overview()).map((one) => one.queue)
    const { days } = config.retention
    return pruneAll(queue, { days, archiveDays: archiveDays(config, names) }, signal)
  }
}

function describe(deleted: Readonly<Record<string, number>>): string {
  const parts = Object.entries(deleted).map(([kind, count]) => `${kind.padEnd(30)} ${count}`)
  return parts.length === 0 ? 'nothing was old enough' : `deleted:\n${parts.join('\n')}`
}
