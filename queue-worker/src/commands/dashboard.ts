/** The dashboard of a worker, put together from its settings. Null: it is closed. */

import type { Config } from '../config.ts'
import { openAccess } from '../dashboard/access/open.ts'
import { createDashboardRoute } from '../dashboard/dashboard.ts'
import { PAGES, SECTIONS } from '../dashboard/pages.ts'
import type { Wakeable } from '../engine/sleeper.ts'
import { openStorage } from '../processors/reports-configured.ts'
import type { Route } from '../server/route.ts'
import { openMailFolder } from '../services/mail-folder.ts'
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
      mails: openMailFolder(stack.mailDirectory),
      reports: knowsReports(config) ? openStorage(config) : null,
      unmasked: ({ by, queue, msgId }) =>
        logger.info({ by, queue, msg_id: msgId }, 'showed what is sensitive in a message'),
    },
    pages: PAGES,
    sections: SECTIONS,
    logger,
  })
}

/** The settings of a worker without the queue of reports may say where their files are as well. */
function knowsReports({ reports, supabase }: Config): boolean {
  return reports.dir !== undefined || (reports.bucket !== undefined && supabase !== undefined)
}
