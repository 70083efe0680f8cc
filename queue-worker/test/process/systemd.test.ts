/** The units in deploy/systemd: what systemd thinks of them, and how they run under a real one, with all their restrictions. */
import { readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import postgres from 'postgres'
import { afterAll, afterEach, beforeEach, describe, expect, inject, test } from 'vitest'
import { removeFolder } from '../support/cli.ts'
import { connectionEnv } from '../support/cli-env.ts'
import { commandsOf } from '../support/doc-commands.ts'
import { installed } from '../support/installed.ts'
import { lastingPorts } from '../support/ports.ts'
import { createInspector, uniqueQueue } from '../support/queues.ts'
import { analyze, type Systemd, startSystemd, UNITS, withoutSystemd } from '../support/systemd.ts'
import { until } from '../support/worker.ts'

describe.skipIf(withoutSystemd !== '')(`by themselves${withoutSystemd}`, () => {
  test.each(UNITS)('%s: nothing to complain of, and little is exposed', (unit) => {
    expect(analyze('verify', '--man=no', unit)).toBe('')
    // From 0 (nothing) to 10 (everything) in tenths; a plain service has 96.
    analyze('security', '--offline=true', '--threshold=15', '--no-pager', unit)
  })
})

test('the two differ in what they run alone', () => {
  const [worker = '', scheduler = ''] = UNITS.map((unit) =>
    readFileSync(unit, 'utf8')
      .split('\n')
      .filter((line) => !/^(#|Description=|ExecStart=|StateDirectory=|MemoryMax=|$)/.test(line))
      .join('\n'),
  )
  expect(scheduler).toBe(worker)
})

const stack = inject('stack')
const sql = postgres(stack.databaseUrl, { max: 2, onnotice: () => {} })
const look = createInspector(sql)
afterAll(() => sql.end())

describe.skipIf(withoutSystemd !== '')(`under systemd${withoutSystemd}`, () => {
  let cwd = ''
  let queue = ''
  let port = 0
  let systemd: Systemd | undefined

  beforeEach(async () => {
    queue = uniqueQueue()
    port = await lastingPorts(2)
    cwd = await installed(
      {},
      {
        'one.js': `import { z } from 'zod'
import { defineProcessor } from 'queue-worker'
export default defineProcessor({
  queue: '${queue}',
  payload: z.object({ ms: z.number() }),
  async process({ ms }) {
    await new Promise((done) => setTimeout(done, ms))
  },
})
`,
      },
    )
    // The settings are in /etc; and the modules are mounted.
    await rm(join(cwd, '.env'))
    await rm(join(cwd, 'node_modules'))
  })
  afterEach(async () => {
    await systemd?.stop()
    await removeFolder(cwd)
    await look.drop(queue)
  })

  async function boot(env: Record<string, string> = {}, tuned = ''): Promise<Systemd> {
    systemd = await startSystemd({
      cwd,
      env: { ...connectionEnv('postgres', stack), PROCESSORS: 'processors', PORT: String(port), ...env },
      schedulerPort: port + 1,
      tuned: `StandardOutput=append:/run/out.log\nStandardError=append:/run/out.log\n${tuned}`,
    })
    return systemd
  }
  const health = async () => (await fetch(`http://127.0.0.1:${port}/health`).catch(() => null))?.status
  const send = (ms: number) => sql`select pgmq.send(${queue}, jsonb_build_object('ms', ${ms}::int))`

  test('started means that it can work; it has no rights; a stop lets what runs finish', async () => {
    const lab = await boot()
    const started = await lab.systemctl('start', 'queue-worker')
    expect(started.code, started.text + (await lab.shell('cat /run/out.log'))).toBe(0)
    expect(await health()).toBe(200)
    expect(await lab.property('queue-worker', 'ActiveState')).toBe('active')
    const status = await lab.shell(`cat /proc/${await lab.property('queue-worker', 'MainPID')}/status`)
    expect(status).toMatch(/^CapEff:\t0+$/m)
    expect(status).toMatch(/^NoNewPrivs:\t1$/m)
    expect(status).toMatch(/^Seccomp:\t2$/m)
    expect(status).not.toMatch(/^Uid:\t0/m)
    await send(2000)
    await until('it runs', async () => (await look.messages(queue)).some(({ read_ct }) => read_ct === 1))
    expect((await lab.systemctl('stop', 'queue-worker')).code).toBe(0)
    expect(await look.archived(queue)).toHaveLength(1)
    expect(await lab.property('queue-worker', 'ActiveState')).toBe('inactive')
    expect(await lab.property('queue-worker', 'ExecMainStatus')).toBe('0')
  })

  test('the watchdog is fed while its event loop turns; one that stands still is killed and started again', async () => {
    const lab = await boot({}, 'WatchdogSec=10\nRestartSec=100ms')
    await lab.systemctl('start', 'queue-worker')
    const pid = await lab.property('queue-worker', 'MainPID')
    const beat = () => lab.property('queue-worker', 'WatchdogTimestampMonotonic')
    for (let beats = 0; beats < 4; beats += 1) {
      const last = await beat()
      await until('it is told again', async () => (await beat()) !== last)
    }
    expect(await lab.property('queue-worker', 'MainPID')).toBe(pid)
    await lab.shell(`kill -STOP ${pid}`)
    await until(
      'it is another',
      async () => !['0', pid].includes(await lab.property('queue-worker', 'MainPID')),
    )
    await until('it works', async () => (await health()) === 200)
    expect(await lab.property('queue-worker', 'NRestarts')).toBe('1')
  })

  test('a worker that was killed is started again; one whose settings are wrong is not', async () => {
    const lab = await boot({}, 'RestartSec=100ms')
    await lab.systemctl('start', 'queue-worker')
    const pid = await lab.property('queue-worker', 'MainPID')
    await lab.shell(`kill -KILL ${pid}`)
    await until(
      'there is another',
      async () => !['0', pid].includes(await lab.property('queue-worker', 'MainPID')),
    )
    await until('it works', async () => (await health()) === 200)
    await lab.systemctl('stop', 'queue-worker')

    await lab.shell('echo WORKER_CONCURRENCY=many >> /etc/queue-worker/env')
    expect((await lab.systemctl('start', 'queue-worker')).code).toBe(1)
    await until('it failed', async () => (await lab.property('queue-worker', 'ActiveState')) === 'failed')
    expect(await lab.property('queue-worker', 'ExecMainStatus')).toBe('3')
    expect(await lab.property('queue-worker', 'NRestarts')).toBe('0')
    expect(await lab.shell('cat /run/out.log')).toMatch(/WORKER_CONCURRENCY/)
  })

  test('the scheduler runs beside it', async () => {
    const lab = await boot()
    const started = await lab.systemctl('start', 'queue-worker', 'queue-scheduler')
    expect(started.code, started.text + (await lab.shell('cat /run/out.log'))).toBe(0)
    expect(await lab.property('queue-scheduler', 'ActiveState')).toBe('active')
    const said = await lab.shell('cat /run/out.log')
    expect(said).toContain(`health is answered at http://127.0.0.1:${port + 1}/health`)
    expect((await lab.systemctl('stop', 'queue-scheduler')).code).toBe(0)
    expect(await lab.property('queue-scheduler', 'ExecMainStatus')).toBe('0')
  })

  test('pm2 startup: what pm2 had saved comes back with the machine', async () => {
    const lab = await boot()
    const inPm2 = (command: string) =>
      lab.run(
        'sh',
        '-c',
        `cd /opt/queue-worker && export USER=root PM2_HOME=/run/pm2 PM2_DISABLE_VERSION_CHECK=true PATH="$PWD/node_modules/.bin:$PATH" && ${command}`,
      )
    const settings = await lab.shell('cat /etc/queue-worker/env')
    await inPm2(`echo '${settings}' > .env`)
    for (const command of [
      'pm2 start ecosystem.config.js --only queue-worker',
      'pm2 save',
      'pm2 startup systemd',
      'pm2 kill',
    ]) {
      const { code, text } = await inPm2(command)
      expect(code, `${command}:\n${text}`).toBe(0)
    }
    await until('it is down', async () => (await health()) === undefined)
    const { code, text } = await lab.systemctl('start', 'pm2-root')
    expect(code, text).toBe(0)
    await until('it works', async () => (await health()) === 200)
    expect((await lab.systemctl('is-enabled', 'pm2-root')).out.trim()).toBe('enabled')
  })

  test('the commands of docs/deployment/systemd.md', async () => {
    const lab = await boot()
    const settings = await lab.shell('cat /etc/queue-worker/env')
    await lab.shell(
      `cp /etc/systemd/system/queue-*.service /opt/queue-worker/deploy/systemd; rm -r /etc/systemd/system/queue-* /etc/queue-worker`,
    )
    const commands = commandsOf('docs/deployment/systemd.md').filter(
      (command) => !ELSEWHERE.some((pattern) => pattern.test(command)),
    )
    expect(commands.length).toBeGreaterThan(9)
    for (const command of commands) {
      const { code, text } = await lab.run('sh', '-c', command.replaceAll('8080', String(port)))
      expect(code, `${command}:\n${text}`).toBe(0)
      if (command.startsWith('install '))
        await lab.run('sh', '-c', `echo '${settings}' > /etc/queue-worker/env`)
      if (command.startsWith('curl ')) expect(text).toMatch(/"status":"ok"/)
      if (command.endsWith(' check')) expect(text).toMatch(/The settings are in order/)
    }
    for (const unit of ['queue-worker', 'queue-scheduler'])
      expect(await lab.property(unit, 'ActiveState')).toBe('active')
  })
})

/** Commands of the page that are not run here: what installs (install.test.ts does), an editor, and the journal, which does not run in the lab. */
const ELSEWHERE = [/^git clone/, /npm ci/, /^nano/, /^journalctl/]
