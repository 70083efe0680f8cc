/** `pause` and `resume`: one queue or all of them, for every worker. */
import type { QueueOverview } from '../queue/operator.ts'
import { caller } from './caller.ts'
import { EXIT, type ExitCode, type Io, UsageError } from './io.ts'
import { noSuchQueue, withQueue } from './with-queue.ts'

export async function setPaused(
  io: Io,
  name: string | undefined,
  options: { paused: boolean; all?: boolean; json?: boolean },
): Promise<ExitCode> {
  const { paused, all = false, json } = options
  if (all === (name !== undefined)) throw new UsageError('give either the name of a queue or --all')
  return withQueue(io, async (queue) => {
    const known = await queue.overview()
    const chosen = known.filter((one) => all || one.queue === name)
    if (name !== undefined && chosen.length === 0)
      throw noSuchQueue(
        name,
        known.map((one) => one.queue),
      )
    for (const one of chosen) {
      await queue.setPaused(one.queue, paused, caller())
      if (!json) io.out(describe(one, paused))
    }
    if (json) io.out(JSON.stringify(chosen.map((one) => ({ queue: one.queue, paused, was: one.paused }))))
    else if (chosen.length === 0) io.out('There are no queues yet.')
    return EXIT.ok
  })
}

function describe(was: QueueOverview, paused: boolean): string {
  const { queue, breaker } = was
  if (was.paused === paused && breaker === null)
    return `${queue} ${paused ? 'is paused already' : 'is not paused'}`
  if (paused) return `${queue} is paused for all workers; what is in flight finishes, sends go on`
  return `${queue} is worked on again${breaker === null ? '' : '; its breaker is closed'}`
}
