/** Whether the REST API (PostgREST) knows the functions that are in the database: it keeps a list, which may be old. */
import { sleep } from '../../utils/sleep.ts'
import { defineCheck } from '../finding.ts'
import { outcomeOf } from '../outcome-of.ts'
import type { DirectSql, Parts } from '../parts.ts'

const RELOAD_MS = 10_000

export const schemaCache = defineCheck({
  name: 'schema-cache',
  group: 'Database',
  needs: ['login'],
  catalog: {
    schema_cache_ok: { severity: 'ok', why: '' },
    schema_cache_stale: {
      severity: 'error',
      why: 'The functions are in the database, but the REST API does not know them yet, so every call fails.',
    },
  },
  async run(parts: Parts, tell) {
    const { connection, direct } = parts
    if (connection.kind !== 'rpc') return []
    if (!(await isUnknown(parts))) return [tell('schema_cache_ok', 'the REST API knows our functions')]
    // Without a look into the catalog nobody can tell an old list from functions that are not there: see `migration`.
    if (direct === null || !(await direct(hasFunctions).catch(() => false))) return []
    const how = "Reload it, in the SQL editor: notify pgrst, 'reload schema';"
    return [
      tell('schema_cache_stale', 'the REST API does not know functions that are in the database', how, () =>
        reload(parts, direct),
      ),
    ]
  },
})

/** Whether one of the functions is unknown to whoever answers; the newest is among those asked for. */
export async function isUnknown(parts: Pick<Parts, 'queue' | 'diagnose'>): Promise<boolean> {
  const status = await outcomeOf(() => parts.queue.status())
  if (status.failure !== undefined) return status.failure.kind === 'missing_migration'
  const diagnosis = await outcomeOf(() => parts.diagnose())
  return diagnosis.failure?.kind === 'missing_migration'
}

async function hasFunctions(sql: DirectSql): Promise<boolean> {
  const [found] = await sql`select to_regprocedure('public.queue_worker_status(jsonb)') is not null
    and to_regprocedure('public.queue_worker_diagnose(jsonb)') is not null as it`
  return found?.it === true
}

async function reload(parts: Parts, direct: NonNullable<Parts['direct']>): Promise<string> {
  await direct((sql) => sql`notify pgrst, 'reload schema'`)
  const giveUpMs = performance.now() + RELOAD_MS
  while ((await isUnknown(parts)) && performance.now() < giveUpMs) await sleep(100)
  return 'told the REST API to read the functions anew'
}
