/** The dashboard of a worker, put together from its settings. */
import type { Config } from '../config.ts'
import { createAccess } from '../dashboard/access/access.ts'
import { type AccessSettings, whoMay } from '../dashboard/access/settings.ts'
import { createDashboardRoute } from '../dashboard/dashboard.ts'
import { PAGES, SECTIONS } from '../dashboard/pages.ts'
import type { Wakeable } from '../engine/sleeper.ts'
import { openStorage } from '../processors/reports-configured.ts'
import type { Guesses } from '../server/guesses.ts'
import type { Route } from '../server/route.ts'
import { openMailFolder } from '../services/mail-folder.ts'
import { isLoopback } from '../utils/loopback.ts'
import type { Composed } from './compose.ts'
import type { Setup } from './setup.ts'

/** Where it is on the server of a worker, and who may see it. */
export type DashboardPlace = { readonly path: string; readonly who: string }

/** Null: there is none. */
export function dashboardPlace(setup: Pick<Setup, 'config' | 'stack'>): DashboardPlace | null {
  const settings = accessSettings(setup)
  return settings === null ? null : { path: settings.path, who: whoMay(settings) }
}

/** Null: there is none. */
export function dashboardRoute(
  composed: Composed,
  worker: Wakeable,
  guesses: Guesses,
  setup: Setup,
): Route | null {
  const { processors, logger, ask } = composed
  const { config, stack } = setup
  const settings = accessSettings(setup)
  if (settings === null) return null
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

function accessSettings({ config, stack }: Pick<Setup, 'stack'> & { config: Config }): AccessSettings | null {
  const { dashboard, http } = config
  if (dashboard === null || http.port === null) return null
  const { path, viewerTokens, users, trustedProxies } = dashboard
  return {
    ...{ path, viewerTokens, users, trustedProxies },
    operatorTokens: http.adminTokens,
    isOnThisMachine: stack !== null && isLoopback(http.host),
  }
}

/** The settings of a worker without the queue of reports may say where their files are as well. */
function knowsReports({ reports, supabase }: Config): boolean {
  return reports.dir !== undefined || (reports.bucket !== undefined && supabase !== undefined)
}
