/** Whether what supervises a worker waits long enough when it stops, by the files that configure it here. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { defineCheck } from '../finding.ts'
import type { Parts } from '../parts.ts'

/** Where each platform says how long it waits between asking a worker to stop and killing it, in such a unit of seconds. */
const FILES: readonly { path: string; name: string; pattern: RegExp; perSecond: number }[] = [
  { path: 'ecosystem.config.js', name: 'kill_timeout', pattern: /kill_timeout: ([\d_]+)/, perSecond: 1000 },
  {
    path: 'docker-compose.yml',
    name: 'stop_grace_period',
    pattern: /stop_grace_period: (\d+)s/,
    perSecond: 1,
  },
  { path: 'railway.json', name: 'drainingSeconds', pattern: /"drainingSeconds": (\d+)/, perSecond: 1 },
  {
    ...{ path: 'deploy/systemd/queue-worker.service', name: 'TimeoutStopSec' },
    ...{ pattern: /^TimeoutStopSec=(\d+)/m, perSecond: 1 },
  },
  {
    ...{ path: 'deploy/kubernetes/worker.yaml', name: 'terminationGracePeriodSeconds' },
    ...{ pattern: /terminationGracePeriodSeconds: (\d+)/, perSecond: 1 },
  },
]

/** After the drain limit: what was aborted ends, the last outcomes are recorded, all is closed. See engine/shutdown.ts. */
const MARGIN_SECONDS = 35

export const stopLimits = defineCheck({
  name: 'stop-limits',
  group: 'Settings',
  catalog: {
    stop_limits_ok: { severity: 'ok', why: '' },
    stop_limit_short: {
      severity: 'warning',
      why: 'A worker that is killed while it stops leaves messages hidden until their visibility timeout has passed.',
    },
  },
  async run({ cwd, config }: Pick<Parts, 'cwd' | 'config'>, tell) {
    const drainSeconds = Math.ceil(config.worker.drainTimeoutMs / 1000)
    const least = drainSeconds + MARGIN_SECONDS
    const found = []
    for (const { path, name, pattern, perSecond } of FILES) {
      const text = await readFile(join(cwd, path), 'utf8').catch(() => '')
      const seconds = Number(pattern.exec(text)?.[1]?.replaceAll('_', '')) / perSecond
      if (!(seconds < least)) continue
      const what = `${name} in ${path} is ${seconds} s; a stop may take ${least} s`
      const how = `Raise it to ${least * perSecond}, or lower WORKER_DRAIN_TIMEOUT_MS (${drainSeconds} s).`
      found.push(tell('stop_limit_short', what, how))
    }
    return found.length > 0
      ? found
      : [tell('stop_limits_ok', `whatever is configured here waits the ${least} s that a stop may take`)]
  },
})
