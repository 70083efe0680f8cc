/** Whether a worker has a dashboard, by its settings, where it is, and for whom. */
import { METHODS } from 'node:http'
import type { Config } from '../config.ts'
import { type AccessSettings, whoMay } from '../dashboard/access/settings.ts'
import { placePattern } from '../dashboard/place.ts'
import type { Wakeable } from '../engine/sleeper.ts'
import type { Guesses } from '../server/guesses.ts'
import type { Route } from '../server/route.ts'
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

/** Null: there is none. It is loaded when somebody first asks for it: a worker that nobody looks at does not pay for it. */
export function dashboardRoute(
  composed: Composed,
  worker: Wakeable,
  guesses: Guesses,
  setup: Setup,
): Route | null {
  const settings = accessSettings(setup)
  if (settings === null) return null
  let made: Promise<Route> | undefined
  const { path } = settings
  return {
    ...{ path, pattern: placePattern(path), methods: METHODS },
    async handle(...request) {
      made ??= import('./dashboard-route.ts').then((module) =>
        module.composeDashboard(composed, worker, { ...setup, guesses, settings }),
      )
      await (await made).handle(...request)
    },
  }
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
