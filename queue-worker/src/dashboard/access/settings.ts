/** What is set about who may see the dashboard, and how that is told. Pure. */
import type { Network } from '../../utils/networks.ts'

export type AccessSettings = {
  /** '/dashboard': where it is on this server. */
  readonly path: string
  /** The embedded stack, on loopback: nothing is asked for where nothing else is set. */
  readonly isOnThisMachine: boolean
  readonly operatorTokens: readonly string[]
  readonly viewerTokens: readonly string[]
  /** Null: nobody is known by name. */
  readonly users: Users | null
  readonly trustedProxies: readonly Network[]
}

/** Those whom a reverse proxy names in a header. */
export type Users = {
  readonly header: string
  readonly operators: readonly string[]
  /** `*`: everybody whom the proxy lets in. */
  readonly viewers: readonly string[]
}

export const HOW_TO_OPEN =
  'Set ADMIN_TOKEN (for who acts) or VIEWER_TOKEN (for who looks) of this worker, each at least 32 characters, for example the output of: openssl rand -hex 32. ' +
  'Or let a reverse proxy log people in, and name its header in DASHBOARD_USER_HEADER. docs/dashboard.md tells how.'

export function isClosed(settings: AccessSettings): boolean {
  return asksNothing(settings) && !settings.isOnThisMachine
}

/** No token and no header is set. */
export function asksNothing({ operatorTokens, viewerTokens, users }: AccessSettings): boolean {
  return operatorTokens.length + viewerTokens.length === 0 && users === null
}

/** For the log, where the worker starts. */
export function whoMay(settings: AccessSettings): string {
  const { operatorTokens, viewerTokens, users } = settings
  if (isClosed(settings))
    return 'closed: ADMIN_TOKEN, VIEWER_TOKEN or DASHBOARD_USER_HEADER opens it (docs/dashboard.md)'
  if (asksNothing(settings)) return 'open, to this machine alone'
  const ways = [
    operatorTokens.length > 0 && 'who has ADMIN_TOKEN (operator)',
    viewerTokens.length > 0 && 'who has VIEWER_TOKEN (viewer)',
    users !== null && `those whom a trusted proxy names in ${users.header}`,
  ]
  return `for ${ways.filter((way) => way !== false).join(', ')}`
}
