/** `start`, `worker` and `dev`: run until told to stop. */
import type { Worker } from '../engine/worker.ts'
import { type Answer, type HealthServer, serveHealth } from '../server/health.ts'
import type { MeasuredHealth } from '../server/metrics/snapshot.ts'
import type { Metrics } from '../server/metrics.ts'
import type { Route } from '../server/route.ts'
import { findSupervisor, type Supervisor } from '../services/supervisor.ts'
import type { Logger } from '../utils/logger.ts'
import { composeWorker } from './compose.ts'
import type { DashboardPlace } from './dashboard.ts'
import { introduceStack } from './introduce.ts'
import { EXIT, type ExitCode, type Io } from './io.ts'
import { asService } from './service.ts'
import { type Setup, type SetupOptions, setUp } from './setup.ts'

export async function work(
  io: Io,
  options: SetupOptions & { readonly scheduler?: boolean } = {},
): Promise<ExitCode> {
  const setup = await setUp(io, options)
  return serve(io, setup, async () => {
    const composed = await composeWorker(setup, io, { scheduler: options.scheduler === true })
    return asService(composed, setup)
  })
}

/** What runs until told to stop: a worker, or something that behaves like one. */
export type Service = Pick<Worker, 'start' | 'stop' | 'done'> & {
  health(): Answer & MeasuredHealth
}

export async function serve(
  io: Io,
  setup: Setup,
  compose: () => Promise<{
    readonly worker: Service
    readonly logger: Logger
    readonly queues: readonly string[]
    readonly metrics: Metrics
    readonly routes?: readonly Route[]
    readonly dashboard?: DashboardPlace | null
  }>,
): Promise<ExitCode> {
  let worker: Service | null = null
  let server: HealthServer | null = null
  let supervisor: Supervisor | null = null
  try {
    const composed = await compose()
    worker = composed.worker
    const { health } = worker
    supervisor = findSupervisor(setup.environment, ({ message }) =>
      composed.logger.warn(`systemd cannot be told how this process is: ${message}`),
    )
    stopOnSignal(worker, supervisor, io)
    if (setup.stack !== null) io.err(introduceStack(setup.stack, setup.config, composed))
    const { host, port } = setup.config.http
    if (port !== null) {
      const { metrics, routes } = composed
      const told = { text: () => metrics.text(health()), json: () => metrics.json(health()) }
      server = await serveHealth({ host, port, health, metrics: told, routes })
      composed.logger.info({ url: server.url }, `health is answered at ${server.url}/health`)
      if (composed.dashboard) tellDashboard(composed.logger, server, composed.dashboard)
    }
    await worker.start()
    supervisor.ready(() => health().stuck === null)
    await worker.done
    return EXIT.ok
  } catch (error) {
    await worker?.stop('it cannot go on', { hurry: true })
    throw error
  } finally {
    supervisor?.close()
    await server?.close()
    await setup.stack?.stop()
  }
}

function tellDashboard(logger: Logger, server: HealthServer, { path, who }: DashboardPlace): void {
  const url = `${server.url}${path}`
  logger.info({ url }, `the dashboard is at ${url}, ${who}`)
}

function stopOnSignal(worker: Service, supervisor: Supervisor, io: Io): void {
  let asked = 0
  io.onStop(() => {
    asked += 1
    supervisor.stopping()
    void worker.stop(asked === 1 ? 'a signal' : 'a second signal', { hurry: asked > 1 })
  })
}
