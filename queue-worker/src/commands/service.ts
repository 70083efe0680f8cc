/** What `start` runs: a worker, asleep now and then if it is to be, and all that it answers over HTTP. */
import type { Config } from '../config.ts'
import { createSleeper, neverSleeps, type Wakeable } from '../engine/sleeper.ts'
import { createSendBatches } from '../queue/send-batches.ts'
import { type Bearer, createBearer } from '../server/bearer.ts'
import { createEnqueueRoute } from '../server/enqueue.ts'
import { createGuesses, type Guesses } from '../server/guesses.ts'
import type { Route } from '../server/route.ts'
import { createWakeRoute } from '../server/wake.ts'
import type { Composed } from './compose.ts'
import { type DashboardPlace, dashboardPlace, dashboardRoute } from './dashboard.ts'
import type { Setup } from './setup.ts'

export type WorkerService = Pick<Composed, 'logger' | 'queues' | 'metrics'> & {
  readonly worker: Wakeable
  readonly routes: readonly Route[]
  readonly dashboard: DashboardPlace | null
}

export function asService(composed: Composed, setup: Setup): WorkerService {
  const { config } = setup
  const { worker: first, reopen: open, logger, queues, metrics } = composed
  const { sleep } = config
  const worker =
    sleep === null
      ? neverSleeps(first)
      : createSleeper({ first, open, idleMs: sleep.whenIdleSeconds * 1000, logger })
  // One count for all that asks for a token.
  const guesses = createGuesses((where) =>
    logger.warn(`somebody shows wrong tokens to ${where}; told once a minute`),
  )
  const dashboard = dashboardRoute(composed, worker, guesses, setup)
  const routes = [enqueueRoute(composed, worker, guesses, config), wakeRoute(worker, guesses, config)]
  if (dashboard !== null) routes.push(dashboard)
  return { worker, logger, queues, metrics, routes, dashboard: dashboardPlace(setup) }
}

function enqueueRoute(composed: Composed, worker: Wakeable, guesses: Guesses, { http }: Config): Route {
  const { processors, send, logger } = composed
  const sendAwake: typeof send = (sends) => worker.use('a message sent over HTTP', () => send(sends))
  // So that many requests at once leave connections for the worker itself.
  const batches = createSendBatches(sendAwake)
  return createEnqueueRoute({
    ...{ processors, logger, bearer: bearerOf(http.adminTokens, guesses, 'POST /api/queues/…') },
    async send(sends) {
      const [one, ...others] = sends
      return one !== undefined && others.length === 0 ? [await batches.send(one)] : sendAwake(sends)
    },
  })
}

/** Who may send may wake as well. */
function wakeRoute({ wake }: Wakeable, guesses: Guesses, { http }: Config): Route {
  const tokens = http.wakeTokens.length === 0 ? [] : [...http.wakeTokens, ...http.adminTokens]
  return createWakeRoute({ wake, bearer: bearerOf(tokens, guesses, '/wake') })
}

/** Null where no token was set. */
function bearerOf(tokens: readonly string[], guesses: Guesses, where: string): Bearer | null {
  return tokens.length === 0 ? null : createBearer(tokens, guesses, where)
}
