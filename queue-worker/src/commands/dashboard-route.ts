/** The dashboard of a worker, put together from its settings. */
import type { Config } from '../config.ts'
import { createAccess } from '../dashboard/access/access.ts'
import type { AccessSettings } from '../dashboard/access/settings.ts'
import { createDashboardRoute } from '../dashboard/dashboard.ts'
import { PAGES, SECTIONS } from '../dashboard/pages.ts'
import type { Wakeable } from '../engine/sleeper.ts'
import { openStorage } from '../processors/reports-configured.ts'
import type { Guesses } from '../server/guesses.ts'
import type { Route } from '../server/route.ts'
import { openMailFolder } from '../services/mail-folder.ts'
import type { Composed } from './compose.ts'
import type { Setup } from './setup.ts'

export type DashboardSetup = Pick<Setup, 'config' | 'stack'> & {
  readonly settings: AccessSettings
  readonly guesses: Guesses
}

export function composeDashboard(composed: Composed, worker: Wakeable, setup: DashboardSetup): Route {
  const { processors, logger, ask } = composed
  const { config, stack, settings, guesses } = setup
  const access = createAccess(settings, { guesses, logger })
  return createDashboardRoute({
    path: settings.path,
    baseOf: access.baseOf,
    access,
    ground: {
      processors,
      ask: (question) => worker.use('the dashboard', () => ask(question)),
      mails: stack === null ? null : openMailFolder(stack.mailDirectory),
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
