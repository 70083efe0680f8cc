/** Whether the SQL in the database is the one that belongs to this program. */
import { applyMigrations, listMigrations } from '../../services/migrations.ts'
import { sleep } from '../../utils/sleep.ts'
import { defineCheck, type Mend } from '../finding.ts'
import { outcomeOf } from '../outcome-of.ts'
import type { Parts } from '../parts.ts'
import { isUnknown } from './schema-cache.ts'

const RELOAD_MS = 10_000
const HOW =
  'Run `npx queue-worker migrate` with DATABASE_URL set, or `npx queue-worker migrate --copy supabase/migrations` and push it with the Supabase CLI.'

export const migration = defineCheck({
  name: 'migration',
  group: 'Database',
  needs: ['schema-cache'],
  limitMs: 60_000,
  catalog: {
    migration_ok: { severity: 'ok', why: '' },
    migration_missing: {
      severity: 'error',
      why: 'Without its functions a worker can neither read nor settle.',
    },
    migration_old: { severity: 'error', why: 'This worker needs what the database does not have yet.' },
    migration_changed: {
      severity: 'warning',
      why: 'Something that was mended in the SQL since then is not in your database.',
    },
    table_in_the_way: {
      severity: 'warning',
      why: 'A table of yours has the name of one of ours, which so was not made: messages of that queue fail.',
    },
    migration_newer: {
      severity: 'note',
      why: 'It works; but another worker of yours is newer than this one.',
    },
  },
  async run(parts: Parts, tell) {
    const { queue, connection } = parts
    const files = await listMigrations()
    // The last file holds the grants and is no version.
    const newest = files.at(-2)?.name.slice(0, 14) ?? ''
    const mend = applying(parts)
    const { status, failure } = await outcomeOf(() => queue.status())
    if (failure?.kind === 'missing_migration') {
      const cached = connection.kind === 'rpc' && mend === undefined
      const perhaps = cached ? " If you have done so: notify pgrst, 'reload schema'; in the SQL editor." : ''
      return [tell('migration_missing', failure.message, HOW + perhaps, mend)]
    }
    if (failure?.kind === 'old_migration') return [tell('migration_old', failure.message, HOW, mend)]
    if (failure !== undefined) throw failure
    if (status.migration > newest) {
      const what = `the database has the SQL of a newer version (${status.migration}; ours is ${newest})`
      return [tell('migration_newer', what, 'Update this worker when it suits you.')]
    }
    const what = `the database has the SQL of an older version (${status.migration}; ours is ${newest})`
    if (status.migration < newest || (await isUnknown(parts))) return [tell('migration_old', what, HOW, mend)]
    const { migrations, tables_in_the_way: inTheWay } = await parts.diagnose()
    const recorded = new Map(migrations.map(({ name, checksum }) => [name, checksum]))
    // Nothing is recorded where the Supabase CLI has applied them.
    const differing = files.filter(({ name, checksum }) => (recorded.get(name) ?? checksum) !== checksum)
    if (differing.length > 0) {
      const list = differing.map(({ name }) => name).join(', ')
      return [tell('migration_changed', `applied in another form: ${list}`, HOW, mend)]
    }
    const needed = inTheWay.filter((table) => parts.queues.includes(queueOf(table)))
    if (needed.length > 0) {
      const what = `not a table of queue-worker, and left as it is: ${needed.join(', ')}`
      return [
        tell('table_in_the_way', what, `Give it another name (alter table … rename to …). Then: ${HOW}`),
      ]
    }
    return [tell('migration_ok', `the SQL is that of this version (${newest}, protocol ${status.protocol})`)]
  },
})

/** The queue whose processor needs a table of ours. */
function queueOf(table: string): string {
  return table === 'public.reports' ? 'reports' : 'payments'
}

/** Undefined where nothing leads to the database but functions. */
function applying(parts: Parts): Mend | undefined {
  const { direct, connection } = parts
  if (direct === null) return undefined
  return async () => {
    const applied = await direct(async (sql) => applyMigrations(sql, await listMigrations()))
    const giveUpMs = performance.now() + RELOAD_MS
    while (connection.kind === 'rpc' && (await isUnknown(parts)) && performance.now() < giveUpMs)
      await sleep(100)
    return `applied ${applied.length} files of SQL`
  }
}
