/** `start`, `worker` and `dev`: run until told to stop. */
import { serveHealth } from '../server/health.ts'
import { composeWorker } from './compose.ts'
import { EXIT, type ExitCode, type Io } from './io.ts'
import { type SetupOptions, setUp } from './setup.ts'

export async function work(io: Io, options: SetupOptions = {}): Promise<ExitCode> {
  const setup = await setUp(io, options)
  const { worker, logger } = await composeWorker(setup, io)
  if (setup.stack !== null) {
    io.err(
      `embedded stack: ${setup.stack.url}, mail in ${setup.stack.mailDirectory}\n` +
        `psql "${setup.stack.databaseUrl}"   (or: npx queue-worker stack, to see all of it)`,
    )
  }
  const { host, port } = setup.config.http
  const server = port === null ? null : await serveHealth({ host, port, health: worker.health })
  if (server !== null) logger.info({ url: server.url }, `health is answered at ${server.url}/health`)
  let asked = 0
  io.onStop(() => {
    asked += 1
    void worker.stop(asked === 1 ? 'a signal' : 'a second signal', { hurry: asked > 1 })
  })
  try {
    await worker.start()
    await worker.done
    return EXIT.ok
  } catch (error) {
    await worker.stop('it cannot go on', { hurry: true })
    throw error
  } finally {
    await server?.close()
    await setup.stack?.stop()
  }
}
