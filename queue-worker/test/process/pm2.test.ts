/** ecosystem.config.js with the real pm2, each test with a daemon of its own: start, logs, reload under load, scale, stop, resurrect. */
import { existsSync, readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import postgres from 'postgres'
import { afterAll, afterEach, beforeEach, expect, inject, test } from 'vitest'
import { endAll, folder, projectRoot, removeFolder, run, start } from '../support/cli.ts'
import { connectionEnv } from '../support/cli-env.ts'
import { commandsOf } from '../support/doc-commands.ts'
import { installed, writeEnv } from '../support/installed.ts'
import { lastingPorts } from '../support/ports.ts'
import { processesIn } from '../support/processes.ts'
import { createInspector, uniqueQueue } from '../support/queues.ts'
import { until } from '../support/worker.ts'

const stack = inject('stack')
const sql = postgres(stack.databaseUrl, { max: 2, onnotice: () => {} })
const look = createInspector(sql)
let home = ''
let cwd = ''
let queue = ''
let port = 0
let settings: Record<string, string> = {}

beforeEach(async () => {
  home = await folder('queue-worker-pm2-')
  queue = uniqueQueue()
  // The scheduler's, the worker's, and two for more workers.
  port = (await lastingPorts(4)) + 1
  const processor = `import { appendFileSync } from 'node:fs'
import { z } from 'zod'
import { defineProcessor } from 'queue-worker'
const note = (what, n) => appendFileSync(new URL('../journal', import.meta.url), what + ' ' + n + '\\n')
export default defineProcessor({
  queue: '${queue}',
  payload: z.object({ n: z.number(), ms: z.number() }),
  async process({ n, ms }) {
    note('start', n)
    await new Promise((done) => setTimeout(done, ms))
    note('end', n)
  },
})
`
  settings = { ...connectionEnv('postgres', stack), PORT: String(port), WORKER_CONCURRENCY: '5' }
  cwd = await installed(settings, { 'one.js': processor })
})
afterEach(async () => {
  await endAll()
  await pm2('kill')
  await removeFolder(cwd)
  await rm(home, { recursive: true, force: true })
  await look.drop(queue)
})
afterAll(() => sql.end())

/** Pm2 and the pinned Node are found by their names. */
const env = () => ({
  PM2_HOME: home,
  PM2_DISABLE_VERSION_CHECK: 'true',
  PATH: `${join(projectRoot, 'node_modules/.bin')}:${process.env.PATH}`,
})

async function pm2(...args: string[]): Promise<string> {
  const { code, text, out } = await run(args, { cwd, env: env(), command: ['pm2'] })
  expect(code, text).toBe(0)
  return out
}

type App = { name: string; pid: number; pm2_env: { status: string; restart_time: number; PORT: string } }
const apps = async (): Promise<App[]> => JSON.parse((await pm2('jlist')).split('\n').at(-1) || '[]')
const states = async () => (await apps()).map(({ name, pm2_env }) => `${name} ${pm2_env.status}`).toSorted()
const pidOf = async (name: string) => (await apps()).find((app) => app.name === name)?.pid ?? 0
const health = async (at: number) => (await fetch(`http://127.0.0.1:${at}/health`)).status
const log = (name: string) => readFileSync(join(cwd, 'logs', name), 'utf8')
const journal = (what: string) =>
  existsSync(join(cwd, 'journal'))
    ? [...readFileSync(join(cwd, 'journal'), 'utf8').matchAll(/^(\w+) (\d+)$/gm)]
        .filter((line) => line[1] === what)
        .map((line) => Number(line[2]))
    : []
const send = (count: number, ms: number) =>
  sql`select pgmq.send_batch(${queue}, (select array_agg(jsonb_build_object('n', n, 'ms', ${ms}::int)) from generate_series(1, ${count}::int) n))`
const archived = async () => (await look.archived(queue)).length

test('start returns when both can work, on the Node of the folder; logs land in logs/, and pm2 logs shows them', async () => {
  await pm2('start', 'ecosystem.config.js')
  // Not until: it was ready before pm2 came back.
  expect([await health(port), await health(port - 1)]).toEqual([200, 200])
  expect(await states()).toEqual(['queue-scheduler online', 'queue-worker online'])
  const commands = processesIn(cwd).map(({ command }) => command)
  expect(commands.filter((one) => one.includes('dist/index.js'))).toHaveLength(2)
  const node = `/proc/${await pidOf('queue-worker')}/environ`
  expect(readFileSync(node, 'utf8')).toContain(`exec_interpreter=${join(cwd, 'node_modules/.bin/node')}`)
  await until('the log is written', () => log('out.log').includes(`reads ${queue}`))
  expect(log('scheduler-out.log')).toMatch(/"level":/)
  expect([log('error.log'), log('scheduler-error.log')]).toEqual(['', ''])
  expect(await pm2('logs', '--nostream', '--lines', '50')).toContain(`reads ${queue}`)
  await send(3, 0)
  await until('they are archived', async () => (await archived()) === 3)
})

test('reload under load loses nothing and does nothing twice', async () => {
  await pm2('start', 'ecosystem.config.js')
  // Far more than can be done while pm2 gets there.
  await send(1500, 50)
  for (const part of [100, 400]) {
    await until(`${part} have begun`, () => journal('start').length >= part)
    const before = await pidOf('queue-worker')
    await pm2('reload', 'queue-worker')
    expect(await pidOf('queue-worker')).not.toBe(before)
  }
  await until('all are archived', async () => (await archived()) === 1500)
  expect(journal('start').toSorted((a, b) => a - b)).toEqual(Array.from({ length: 1500 }, (_, i) => i + 1))
  expect(journal('end')).toHaveLength(1500)
  expect(log('out.log').match(/stopping \(a signal\): [1-5] running/g), 'each was under load').toHaveLength(2)
  expect(await look.deadLetters(queue)).toEqual([])
})

test('stop lets what runs finish, and gives the rest back', async () => {
  await pm2('start', 'ecosystem.config.js')
  await send(20, 1500)
  await until('five run', () => journal('start').length === 5)
  await pm2('stop', 'queue-worker')
  expect(await states()).toEqual(['queue-scheduler online', 'queue-worker stopped'])
  expect(journal('end')).toHaveLength(5)
  expect(await archived()).toBe(5)
  const left = await look.messages(queue)
  expect(left.map(({ vt }) => vt.getTime() <= Date.now() + 1000)).toEqual(Array(15).fill(true))
  expect(log('out.log')).toMatch(/stopping \(a signal\): 5 running/)
})

test('what was killed is started again, and what was saved comes back with resurrect', async () => {
  await pm2('start', 'ecosystem.config.js')
  const first = await pidOf('queue-worker')
  process.kill(first, 'SIGKILL')
  await until('there is another', async () => ![0, first].includes(await pidOf('queue-worker')))
  await until('it works', async () => (await health(port).catch(() => 0)) === 200)
  await pm2('save')
  await pm2('kill')
  await until('nothing runs', () => processesIn(cwd).length === 0)
  await pm2('resurrect')
  await until('it works again', async () => (await health(port).catch(() => 0)) === 200)
  expect(await states()).toEqual(['queue-scheduler online', 'queue-worker online'])
  await send(3, 0)
  await until('they are archived', async () => (await archived()) === 3)
})

test('scale: each worker answers at a port of its own', async () => {
  await pm2('start', 'ecosystem.config.js', '--only', 'queue-worker')
  await pm2('scale', 'queue-worker', '2')
  const ports = (await apps()).map(({ pm2_env }) => Number(pm2_env.PORT)).toSorted()
  expect(ports).toEqual([port, port + 1])
  for (const one of ports)
    await until(`${one} answers`, async () => (await health(one).catch(() => 0)) === 200)
})

test('what a person must mend is said in logs/error.log, and tried again ever later', async () => {
  await rm(join(cwd, '.env'))
  await pm2('start', 'ecosystem.config.js', '--only', 'queue-worker')
  const restarts = async () => (await apps())[0]?.pm2_env.restart_time ?? 0
  await until('it was tried three times', async () => (await restarts()) >= 3)
  expect(log('error.log')).toMatch(/error: no connection is configured\n\nWhat to do: Set SUPABASE_URL/)
  const waits = [...readFileSync(join(home, 'pm2.log'), 'utf8').matchAll(/will restart in (\d+)ms/g)].map(
    (found) => Number(found[1]),
  )
  expect(waits.slice(0, 3)).toEqual([100, 150, 225])
})

/** Commands of the page that are not run here. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  'git clone <this repository> queue-worker && cd queue-worker': 'install.test.ts',
  'npm ci': 'install.test.ts',
  'git pull && npm ci': 'install.test.ts',
  'npm run deploy:check': 'deploy-check.test.ts',
  'pm2 startup': 'systemd.test.ts',
}
/** Those that go on until they are interrupted. */
const FOLLOWING = ['pm2 logs queue-worker', 'pm2 monit']

test('every command of docs/deployment/pm2.md', { timeout: 240_000 }, async () => {
  const commands = commandsOf('docs/deployment/pm2.md').filter((command) => !(command in ELSEWHERE))
  expect(commands.length).toBeGreaterThan(12)
  for (const command of commands) {
    if (FOLLOWING.includes(command)) {
      const atTerminal = `stty rows 50 cols 200; exec ${command}`
      const followed = start(['-qec', atTerminal, '/dev/null'], {
        ...{ cwd, env: { ...env(), TERM: 'xterm' } },
        command: ['script'],
      })
      await followed.says(/queue-worker/)
      followed.signal('SIGKILL')
      await followed.ended
      continue
    }
    const here = command.replaceAll('8080', String(port))
    const { code, text } = await run(['-c', here], { cwd, env: env(), command: ['sh'] })
    expect(code, `${command}:\n${text}`).toBe(0)
    if (command.startsWith('cp .env.example')) await writeEnv(cwd, { ...settings, PROCESSORS: 'processors' })
    if (command.startsWith('curl')) expect(text).toMatch(/"status":"ok"/)
  }
  const online = ['queue-scheduler online', 'queue-worker online']
  await until('all run', async () => (await states()).every((state) => online.includes(state)))
})
