/** The settings of the dashboard: where it is, and who may see it. */
import type { Gathered, Problem } from './gather.ts'
import type { Values } from './settings.ts'
import type { Config } from './types.ts'

export function dashboardSettings(values: Values): Config['dashboard'] {
  if (!values.DASHBOARD) return null
  const { DASHBOARD_USER_HEADER: header, DASHBOARD_OPERATORS, DASHBOARD_VIEWERS } = values
  const lists = { operators: DASHBOARD_OPERATORS ?? [], viewers: DASHBOARD_VIEWERS ?? [] }
  return {
    path: values.DASHBOARD_PATH,
    viewerTokens: values.VIEWER_TOKEN ?? [],
    users: header === undefined ? null : { header, ...lists },
    trustedProxies: values.DASHBOARD_TRUSTED_PROXIES,
  }
}

export function dashboardRules({ values, givenAs }: Gathered): { problems: Problem[]; warnings: string[] } {
  const problems: Problem[] = []
  const warnings: string[] = []
  const lists = (['DASHBOARD_OPERATORS', 'DASHBOARD_VIEWERS'] as const).filter((name) => givenAs.has(name))
  const isNamed = givenAs.has('DASHBOARD_USER_HEADER')
  if (isNamed && lists.length === 0) {
    const wrong =
      'is missing: with DASHBOARD_USER_HEADER alone nobody may enter; allowed: who may look, * for everybody whom the proxy lets in, or DASHBOARD_OPERATORS'
    problems.push({ name: 'DASHBOARD_VIEWERS', wrong })
  }
  if (!isNamed && lists.length > 0)
    warnings.push(`${lists.join(' and ')} is set without DASHBOARD_USER_HEADER: nobody is known by name`)
  if (values.VIEWER_TOKEN?.some((token) => values.ADMIN_TOKEN?.includes(token))) {
    const wrong = 'has a token that ADMIN_TOKEN has too; allowed: one of its own, as viewers may not act'
    problems.push({ name: 'VIEWER_TOKEN', wrong })
  }
  return { problems, warnings }
}
