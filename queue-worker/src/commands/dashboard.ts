/** The dashboard of a worker, put together from its settings. Null: it is closed. */
import { openAccess } from '../dashboard/access/open.ts'
import { createDashboardRoute } from '../dashboard/dashboard.ts'
import { PAGES, SECTIONS } from '../dashboard/pages.ts'
import type { Wakeable } from '../engine/sleeper.ts'
import type { Route } from '../server/route.ts'
import { isLoopback } from '../utils/loopback.ts'
import type { Composed } from './compose.ts'
import type { Setup } from './setup.ts'

const PATH = '/dashboard'

export function dashboardRoute(composed: Composed, worker: Wakeable, { config, stack }: Setup): Route | null {
  const { processors, logger, ask } = composed
  if (stack === null || !isLoopback(config.http.host)) return null
  return createDashboardRoute({
    path: PATH,
    baseOf: () => PATH,
    access: openAccess(),
    ground: {
      processors,
      ask: (question) => worker.use('the dashboard', () => ask(question)),
      unmasked: ({ by, queue, msgId }) =>
        logger.info({ by, queue, msg_id: msgId }, 'showed what is sensitive in a message'),
    },
    pages: PAGES,
    sections: SECTIONS,
    logger,
  })
}
