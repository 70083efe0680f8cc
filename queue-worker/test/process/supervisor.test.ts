/** A supervisor that cannot be told how the worker is does the worker no harm. Those that can: pm2.test.ts, systemd.test.ts. */
import { afterEach, beforeEach, expect, inject, test } from 'vitest'
import { endAll, folder, removeFolder, start } from '../support/cli.ts'
import { connectionEnv } from '../support/cli-env.ts'

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
  ['pm2 that has gone', { pm_id: '0' }, /reads http_callbacks/],
])('%s: it is said once, and the worker works on', async (_, env, says) => {
  const more = { QUEUES: 'http_callbacks', ...env }
  const worker = start(['worker'], { cwd, env: { ...connectionEnv('postgres', inject('stack')), ...more } })
  await worker.says(/reads http_callbacks/)
  await worker.says(says)
  worker.signal('SIGTERM')
  expect(await worker.ended, worker.text()).toBe(0)
  expect(worker.text().match(/cannot be told/g)?.length ?? 0).toBe('NOTIFY_SOCKET' in env ? 1 : 0)
})
