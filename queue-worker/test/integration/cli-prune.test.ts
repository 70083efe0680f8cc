import postgres from 'postgres'
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest'
import { endAll, folder, removeFolder, run } from '../support/cli.ts'
import { connectionEnv, KINDS } from '../support/cli-env.ts'
import { createInspector, uniqueQueue } from '../support/queues.ts'
import { until } from '../support/worker.ts'

const stack = inject('stack')
const sql = postgres(stack.databaseUrl, { max: 1, onnotice: () => {} })
const look = createInspector(sql)
let cwd = ''
beforeAll(async () => {
  cwd = await folder()
})
afterEach(endAll)
afterAll(async () => {
  await sql.end()
  await removeFolder(cwd)
})

describe.each(KINDS)('over %s', (kind) => {
  test('prune deletes old records and, of the queues that say so, archived messages', async () => {
    const queue = uniqueQueue()
    await sql`select pgmq.create(${queue})`
    await sql`select pgmq.send(${queue}, '{}'::jsonb) from generate_series(1, 3)`
    await sql`select pgmq.archive(${queue}, array[1, 2, 3]::bigint[])`
    await sql`update ${look.table('a', queue)} set archived_at = now() - interval '10 days'`
    await sql`insert into queue_worker.stats (queue, minute, backend) values (${queue}, now() - interval '50 days', 1)`
    const records = () => sql`select from queue_worker.stats where queue = ${queue}`
    const env = connectionEnv(kind, stack)
    const own = `${queue.toUpperCase()}_ARCHIVE_RETENTION_DAYS`
    const kept = await run(['prune', '--json'], { cwd, env: { ...env, RETENTION_DAYS: '60', [own]: '20' } })
    expect([kept.code, kept.err]).toEqual([0, ''])
    expect(await records()).toHaveLength(1)
    expect(await look.archived(queue)).toHaveLength(3)
    // Somebody else may be pruning the same database at this moment; then this one leaves it to that one.
    await until('it is pruned', async () => {
      const { code, out } = await run(['prune'], { cwd, env: { ...env, [own]: '5' } })
      expect(code).toBe(0)
      return new RegExp(`archive of ${queue} +3`).test(out)
    })
    expect(await look.archived(queue)).toEqual([])
    expect(await records()).toHaveLength(0)
    await look.drop(queue)
  })
})

test('a malformed setting is named before anything is deleted', async () => {
  const env = { ...connectionEnv('postgres', stack), RETENTION_DAYS: 'a month' }
  const { code, err } = await run(['prune'], { cwd, env })
  expect(code).toBe(3)
  expect(err).toContain('RETENTION_DAYS is not a whole number; allowed: a whole number from 0 to 36500')
})
