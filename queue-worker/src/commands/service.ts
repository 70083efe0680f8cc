/** What `start` runs: a worker, asleep now and then if it is to be, and all that it answers over HTTP. */
import type { Config } from '../config.ts'
import { createSleeper, neverSleeps, type Wakeable } from '../engine/sleeper.ts'
import { createSendBatches } from '../queue/send-batches.ts'
import { type Bearer, createBearer } from '../server/bearer.ts'
import { createEnqueueRoute } from '../server/enqueue.ts'
import type { Route } from '../server/route.ts'
import { createWakeRoute } from '../server/wake.ts'
import type { Composed } from './compose.ts'
import { dashboardRoute } from './dashboard.ts'
import type { Setup } from './setup.ts'

export type WorkerService = Pick<Composed, 'logger' | 'queues' | 'metrics'> & {
  readonly worker: Wakeable
  readonly routes: readonly Route[]
}

export function asService(composed: Composed, setup: Setup): WorkerService {
  const { config } = setup
  const { worker: first, reopen: open, logger, queues, metrics } = composed
  const { sleep } = config
  const worker =
    sleep === null
      ? neverSleeps(first)
      : createSleeper({ first, open, idleMs: sleep.whenIdleSeconds * 1000, logger })
  const dashboard = dashboardRoute(composed, worker, setup)
  const routes = [enqueueRoute(composed, worker, config), wakeRoute(composed, worker, config)]
  if (dashboard !== null) routes.push(dashboard)
  return { worker, logger, queues, metrics, routes }
}

function enqueueRoute({ processors, send, logger }: Composed, worker: Wakeable, { http }: Config): Route {
  const sendAwake: typeof send = (sends) => worker.use('a message sent over HTTP', () => send(sends))
  // So that many requests at once leave connections for the worker itself.
  const batches = createSendBatches(sendAwake)
  return createEnqueueRoute({
    ...{ processors, logger, bearer: bearerOf(http.adminTokens, 'POST /api/queues/…', logger) },
    async send(sends) {
      const [one, ...others] = sends
      return one !== undefined && others.length === 0 ? [await batches.send(one)] : sendAwake(sends)
    },
  })
}

/** Who may send may wake as well. */
function wakeRoute({ logger }: Composed, { wake }: Wakeable, { http }: Config): Route {
  const tokens = http.wakeTokens.length === 0 ? [] : [...http.wakeTokens, ...http.adminTokens]
  return createWakeRoute({ wake, bearer: bearerOf(tokens, '/wake', logger) })
}

/** Null where no token was set. */
function bearerOf(tokens: readonly string[], path: string, logger: Composed['logger']): Bearer | null {
  const onWrong = () => logger.warn(`somebody shows wrong tokens to ${path}; told once a minute`)
  return tokens.length === 0 ? null : createBearer(tokens, onWrong)
}
