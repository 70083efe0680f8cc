/** A supervisor that cannot be told how the worker is does the worker no harm. Those that can: pm2.test.ts, systemd.test.ts. */
import postgres from 'postgres'
import { afterAll, afterEach, beforeEach, expect, inject, test } from 'vitest'
import { endAll, folder, removeFolder, start, writeProcessors } from '../support/cli.ts'
import { connectionEnv, processorCode } from '../support/cli-env.ts'
import { createInspector, uniqueQueue } from '../support/queues.ts'

const stack = inject('stack')
const sql = postgres(stack.databaseUrl, { max: 1, onnotice: () => {} })
const queue = uniqueQueue()
afterAll(async () => {
  await createInspector(sql).drop(queue)
  await sql.end()
})

let cwd = ''
beforeEach(async () => {
  cwd = await folder()
})
afterEach(async () => {
  await endAll()
  await removeFolder(cwd)
})

const SYSTEMD = { NOTIFY_SOCKET: '/nowhere/notify', WATCHDOG_USEC: '60000' }

test.each([
  [
    'systemd without its program',
    { ...SYSTEMD, PATH: '/nowhere' },
    /systemd cannot be told how this process is: .*ENOENT/,
  ],
  ['pm2 that has gone', { pm_id: '0' }, new RegExp(`reads ${queue}`)],
])('%s: it is said once, and the worker works on', async (_, env, says) => {
  const PROCESSORS = writeProcessors(cwd, { 'one.ts': processorCode(queue, '') })
  const worker = start(['worker'], { cwd, env: { ...connectionEnv('postgres', stack), PROCESSORS, ...env } })
  await worker.says(new RegExp(`reads ${queue}`))
  await worker.says(says)
  worker.signal('SIGTERM')
  expect(await worker.ended, worker.text()).toBe(0)
  expect(worker.text().match(/cannot be told/g)?.length ?? 0).toBe('NOTIFY_SOCKET' in env ? 1 : 0)
})
