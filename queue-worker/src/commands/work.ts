/** `start`, `worker` and `dev`: run until told to stop. */
import type { Worker } from '../engine/worker.ts'
import { type HealthServer, serveHealth } from '../server/health.ts'
import { composeWorker } from './compose.ts'
import { EXIT, type ExitCode, type Io } from './io.ts'
import { type Setup, type SetupOptions, setUp } from './setup.ts'

export async function work(io: Io, options: SetupOptions = {}): Promise<ExitCode> {
  const setup = await setUp(io, options)
  let worker: Worker | null = null
  let server: HealthServer | null = null
  try {
    const composed = await composeWorker(setup, io)
    worker = composed.worker
    stopOnSignal(worker, io)
    if (setup.stack !== null) io.err(introduce(setup.stack))
    const { host, port } = setup.config.http
    if (port !== null) {
      server = await serveHealth({ host, port, health: worker.health, metrics: composed.metrics })
      composed.logger.info({ url: server.url }, `health is answered at ${server.url}/health`)
    }
    await worker.start()
    await worker.done
    return EXIT.ok
  } catch (error) {
    await worker?.stop('it cannot go on', { hurry: true })
    throw error
  } finally {
    await server?.close()
    await setup.stack?.stop()
  }
}

function stopOnSignal(worker: Worker, io: Io): void {
  let asked = 0
  io.onStop(() => {
    asked += 1
    void worker.stop(asked === 1 ? 'a signal' : 'a second signal', { hurry: asked > 1 })
  })
}

function introduce({ url, databaseUrl, mailDirectory, attached }: NonNullable<Setup['stack']>): string {
  return (
    `embedded stack${attached ? ' (of another process)' : ''}: ${url}, mail lands in ${mailDirectory}\n` +
    `SQL: psql "${databaseUrl}"   (all of it: npx queue-worker stack)`
  )
}
