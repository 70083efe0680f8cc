/** `drain`: process until nothing is due, then exit; for platforms that start a container by cron. */
import type { Listener } from '../engine/events.ts'
import type { QueueOverview } from '../queue/operator.ts'
import { type Composed, composeWorker } from './compose.ts'
import { EXIT, type ExitCode, type Io } from './io.ts'
import { held } from './queues.ts'
import { setUp } from './setup.ts'

export async function drain(io: Io, options: { withinSeconds: number }): Promise<ExitCode> {
  const setup = await setUp(io)
  const ended = { succeeded: 0, failed: 0, dead: 0 }
  const counting: Listener = {
    settled({ kind, status }) {
      if (status !== 'ok' && status !== 'already') return
      if (kind === 'archive' || kind === 'delete') ended.succeeded += 1
      else if (kind === 'dead') ended.dead += 1
      else if (kind === 'retry') ended.failed += 1
    },
  }
  const { worker, overview } = await composeWorker(setup, io, { listeners: [counting] })
  let waiting: readonly QueueOverview[] = []
  let interrupted = false
  io.onStop(() => {
    const hurry = interrupted
    interrupted = true
    void worker.stop('a signal', { hurry })
  })
  try {
    await worker.start()
    await Promise.race([worker.drained(options.withinSeconds * 1000), worker.done])
    if (!interrupted) waiting = await heldBack(overview)
    await worker.stop('the queues are empty')
  } catch (error) {
    await worker.stop('it cannot go on', { hurry: true })
    throw error
  } finally {
    await setup.stack?.stop()
  }
  io.out(
    `${interrupted ? 'interrupted' : 'drained'}: ${ended.succeeded} succeeded, ${ended.failed} failed and will be retried, ` +
      `${ended.dead} became dead letters`,
  )
  for (const one of waiting)
    io.out(`${one.queue} still has ${one.ready} that may not be read now: ${held(one)}`)
  return interrupted ? EXIT.failed : EXIT.ok
}

/** What is due and may not be read now; a word about it is not worth failing for. */
async function heldBack(overview: Composed['overview']): Promise<readonly QueueOverview[]> {
  const all = await overview().catch(() => [])
  return all.filter((one) => one.ready > 0 && held(one) !== '')
}
