/** Whether the database has connections left. */
import { defineCheck } from '../finding.ts'
import type { Parts } from '../parts.ts'

/** Below this share of all, the next deploy or peak may be refused. */
const SCARCE = 0.1

export const connections = defineCheck({
  name: 'connections',
  group: 'Database',
  needs: ['migration'],
  catalog: {
    connections_ok: { severity: 'ok', why: '' },
    connections_scarce: {
      severity: 'warning',
      why: 'When none is left, workers, the REST API and your app are refused alike.',
    },
  },
  async run({ diagnose }: Parts, tell) {
    const { max, used } = (await diagnose()).connections
    const what = `${used} of ${max} connections of the database are in use`
    if (max - used > max * SCARCE) return [tell('connections_ok', what)]
    const how =
      'Lower DATABASE_POOL_SIZE or the number of workers, find who else holds them (select usename, application_name, count(*) from pg_stat_activity group by 1, 2), or raise max_connections.'
    return [tell('connections_scarce', what, how)]
  },
})
