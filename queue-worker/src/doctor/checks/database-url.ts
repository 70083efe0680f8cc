/** Where workers go through the REST API: whether the direct way in, which mending takes, is open too. */
import { defineCheck } from '../finding.ts'
import { outcomeOf } from '../outcome-of.ts'
import type { Parts } from '../parts.ts'

export const databaseUrl = defineCheck({
  name: 'database-url',
  group: 'Connection',
  catalog: {
    database_url_ok: { severity: 'ok', why: '' },
    database_url_unusable: {
      severity: 'warning',
      why: 'Workers do not need it here, but `migrate` and `doctor --fix` do.',
    },
  },
  async run({ connection, direct }: Parts, tell) {
    if (connection.kind !== 'rpc' || direct === null) return []
    const { failure } = await outcomeOf(() => direct((sql) => sql`select`))
    if (failure !== undefined) return [tell('database_url_unusable', failure.message, failure.remedy)]
    return [tell('database_url_ok', 'DATABASE_URL works as well, for migrate and --fix')]
  },
})
