/** `schedules …` and `scheduler` as a person uses them, on a stack of their own. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import postgres, { type Sql } from 'postgres'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { runCli } from '../../src/cli.ts'
import { endAll, folder, freePort, logLines, removeFolder, start, writeProcessors } from '../support/cli.ts'
import { connectionEnv, KINDS, type Kind, processorCode } from '../support/cli-env.ts'
import { scheduleStack, ticksOf } from '../support/schedules.ts'
import type { TestStack } from '../support/stack.ts'
import { until } from '../support/worker.ts'

let stack: TestStack
let sql: Sql
let cwd = ''
beforeAll(async () => {
  stack = await scheduleStack()
  sql = postgres(stack.databaseUrl, { max: 2, onnotice: () => {} })
  await sql`select queue_worker.ensure_queue('tasks', false)`
  cwd = await folder()
})
afterEach(async () => {
  await endAll()
  await sql`delete from queue_worker.schedules where true`
})
afterAll(async () => {
  await sql?.end()
  await stack?.dispose()
  await removeFolder(cwd)
})

/** A command within this process, which costs a tenth of the time; its settings are in `.env`. */
async function inProcess(folder: string, args: readonly string[]) {
  const [out, err]: [string[], string[]] = [[], []]
  const code = await runCli(args, {
    ...{ cwd: folder, isTerminal: false, onStop() {} },
    out: (text) => void out.push(`${text}\n`),
    err: (text) => void err.push(`${text}\n`),
  })
  return { code, out: out.join(''), err: err.join('') }
}

function cli(kind: Kind, ...args: string[]) {
  const folder = join(cwd, kind)
  mkdirSync(folder, { recursive: true })
  const lines = Object.entries(connectionEnv(kind, stack)).map(([name, value]) => `${name}='${value}'`)
  writeFileSync(join(folder, '.env'), lines.join('\n'))
  return inProcess(folder, ['schedules', ...args])
}
const nightly = ['add', 'nightly', '30 2 * * *', 'tasks', '{"a": 1}', '--timezone', 'Europe/Berlin'] as const

describe.each(KINDS)('over %s', (kind) => {
  test('one is added, shown, paused, resumed, changed and removed', async () => {
    const empty = await cli(kind)
    expect(empty).toMatchObject({ code: 0, err: '' })
    expect(empty.out).toMatch(/^There are no schedules yet. Add one: npx queue-worker schedules add/)

    const added = await cli(kind, ...nightly, '--missed', 'all', '--headers', '{"h": 1}')
    expect([added.code, added.err]).toEqual([0, ''])
    expect(added.out).toMatch(
      /^added: schedule nightly; next run 20\d\d-\d\d-\d\d 02:30:00 Europe\/Berlin\n$/,
    )
    expect((await cli(kind, ...nightly, '--missed', 'all', '--headers', '{"h": 1}')).out).toMatch(
      /^unchanged: /,
    )
    expect((await cli(kind, ...nightly)).out).toMatch(/^changed: schedule nightly; next run/)

    const shown = await cli(kind, 'list')
    expect(shown.out).toMatch(/^schedule +cron +time zone +queue +state +last run +its message +next run\n/)
    expect(shown.out).toMatch(
      /^nightly +30 2 \* \* \* +Europe\/Berlin +tasks +on +- +- +20\d\d-\d\d-\d\d 02:30:00$/m,
    )

    const paused = await cli(kind, 'pause', 'nightly')
    expect(paused.out).toBe('paused: schedule nightly; runs of this time are not made up for\n')
    expect((await cli(kind, ...nightly, '--json')).out).toMatch(
      /"state":"unchanged","enabled":false,"next":null/,
    )
    expect((await cli(kind)).out).toMatch(/^nightly .* paused +- +- +-$/m)
    expect((await cli(kind, 'next', 'nightly', '--count', '2')).out).toMatch(
      /^It is paused; .*\n\nEurope\/Berlin +UTC\n─+ +─+\n20\S+ 02:30:00 +20\S+T0[01]:30:00Z\n20\S+ 02:30:00 +\S+Z\n$/,
    )
    expect((await cli(kind, 'resume', 'nightly')).out).toMatch(/^resumed: schedule nightly; next run/)
    expect((await cli(kind, 'remove', 'nightly')).out).toBe('removed: schedule nightly\n')
    expect(await sql`select 1 from queue_worker.schedules`).toEqual([])
  })

  test('--json prints the same as data', async () => {
    await cli(kind, ...nightly)
    const [listed] = JSON.parse((await cli(kind, 'list', '--json')).out)
    expect(listed).toEqual({
      ...{
        name: 'nightly',
        cron: '30 2 * * *',
        timezone: 'Europe/Berlin',
        queue: 'tasks',
        message: { a: 1 },
      },
      ...{ headers: null, enabled: true, missed: 'one', lastError: null, lastTick: null, error: null },
      next: [expect.stringMatching(/Z$/), expect.any(String), expect.any(String)],
    })
    const next = JSON.parse((await cli(kind, 'next', 'nightly', '--json')).out)
    expect(next).toMatchObject({ name: 'nightly', enabled: true, next: { length: 5 }, error: null })
    expect(JSON.parse((await cli(kind, 'pause', 'nightly', '--json')).out)).toEqual({
      ...{ name: 'nightly', state: 'paused', enabled: false, next: null },
    })
    expect(JSON.parse((await cli(kind, 'remove', 'nightly', '--json')).out)).toEqual({
      ...{ name: 'nightly', state: 'removed' },
    })
  })

  test('a schedule, or a queue, that is not there is told with those that are', async () => {
    await cli(kind, ...nightly)
    const wrong = ['pause', 'resume', 'remove', 'next'].map((verb) => cli(kind, verb, 'nightyl'))
    for (const { code, err } of await Promise.all(wrong)) {
      expect([code, err.split('\n')[0]]).toEqual([
        2,
        'error: there is no schedule nightyl; there are: nightly',
      ])
    }
    const { code, err } = await cli(kind, 'add', 'x', '* * * * *', 'nowhere', '{}')
    expect(code).toBe(3)
    expect(err).toMatch(
      /there is no queue "nowhere"\n\nWhat to do: Create it: select pgmq.create\('nowhere'\)/,
    )
  })

  test('what is wrong with one that was typed in SQL is shown before and after a scheduler has seen it', async () => {
    await sql`insert into queue_worker.schedules (name, cron, queue, message) values ('typo', '61 * * * *', 'tasks', '{}')`
    await sql`insert into queue_worker.schedules (name, cron, queue, message) values ('lost', '* * * * * *', 'nowhere', '{}')`
    const before = await cli(kind)
    expect(before.out).toMatch(/^typo .* error +- +- +-$/m)
    expect(before.out).toMatch(
      /^schedule typo cannot run: "61 \* \* \* \*" is no cron expression: invalid value/m,
    )
    expect((await cli(kind, 'next', 'typo')).out).toMatch(/^schedule typo cannot run: /)
    await sql`insert into queue_worker.schedules (name, cron, timezone, queue, message) values
      ('cron', ${'* \u001b[2J \n*'}, 'UTC', 'tasks', '{}'), ('zone', '* * * * *', ${'Mars\u001b[2J'}, 'tasks', '{}'),
      ('sent', '* * * * *', 'UTC', 'tasks', '{}')`
    await sql`update queue_worker.schedules set last_error = ${'no\u001b[2J\nsuch queue'} where name = 'sent'`
    const { out } = await cli(kind)
    expect(out).toMatch(/^cron +\* +\[2J +\* +UTC +tasks +error /m)
    expect(out).toMatch(/^schedule sent cannot run: no \[2J such queue$/m)
    for (const name of ['cron', 'zone'])
      expect((await cli(kind, 'next', name)).out).toMatch(/^schedule \w+ cannot run: .*\[2J.*\n$/)
    for (const shown of [
      out,
      ...(await Promise.all([cli(kind, 'next', 'cron'), cli(kind, 'next', 'zone')])).map((one) => one.out),
    ])
      expect(shown).not.toMatch(/[^\P{C}\n]/u)
    await sql`delete from queue_worker.schedules where name in ('cron', 'zone', 'sent')`
    const one = start(['scheduler'], {
      cwd,
      env: { ...connectionEnv(kind, stack), SCHEDULER_POLL_SECONDS: '0.3' },
    })
    await one.says(/schedule lost cannot run/)
    await one.says(/schedule typo cannot run/)
    const after = await cli(kind)
    expect(after.out).toMatch(/^lost .* error /m)
    expect(after.out).toMatch(/^schedule lost cannot run: queue-worker: there is no queue "nowhere"/m)
    const told = logLines(one.text()).filter(({ level }) => level === 'error')
    expect(told.map(({ schedule }) => schedule).toSorted()).toEqual(['lost', 'typo'])
  })

  test('scheduler sends, is healthy, and ends with 0 on SIGTERM; what it sent is shown', async () => {
    const port = await freePort()
    const env = { ...connectionEnv(kind, stack), PORT: String(port), SCHEDULER_POLL_SECONDS: '0.3' }
    const one = start(['scheduler'], { cwd, env })
    await one.says(new RegExp(`the scheduler sends what schedules ask for, over ${kind} to .*within 0.3 s`))
    await cli(kind, 'add', 'often', '* * * * * *', 'tasks', '{}')
    await until('it has sent some', async () => (await ticksOf(sql, 'often')).length > 0)
    for (const path of ['/health', '/api/health', '/readyz', '/livez']) {
      const response = await fetch(`http://127.0.0.1:${port}${path}`)
      expect([path, response.status]).toEqual([path, 200])
      if (path === '/health')
        expect(await response.json()).toMatchObject({
          status: 'ok',
          state: 'running',
          transport: kind,
          downMs: 0,
        })
    }
    expect((await cli(kind)).out).toMatch(
      /^often +\* \* \* \* \* \* +UTC +tasks +on +20\S+ \S+ +waiting +20/m,
    )
    one.signal('SIGTERM')
    expect(await one.ended, one.text()).toBe(0)
    expect(one.text()).toMatch(/stopped/)
  })
})

describe('start, worker and scheduler', () => {
  const processors = () =>
    writeProcessors(cwd, {
      'tasks.ts': processorCode('tasks', `console.log('ran ' + context.headers['x-run-at'])`),
    })
  let folderOfThem = ''
  beforeAll(() => {
    folderOfThem = processors()
  })
  const env = (more: Record<string, string> = {}) => ({
    ...{
      ...connectionEnv('postgres', stack),
      PROCESSORS: folderOfThem,
      SCHEDULER_POLL_SECONDS: '0.3',
      ...more,
    },
  })
  const often = () =>
    sql`insert into queue_worker.schedules (name, cron, queue, message) values ('often', '* * * * * *', 'tasks', '{}')`

  test('start does both', async () => {
    await often()
    const one = start(['start'], { cwd, env: env() })
    await one.says(/the scheduler sends/)
    await one.says(/ran 20\S+Z/)
    one.signal('SIGTERM')
    expect(await one.ended, one.text()).toBe(0)
  })

  test.each([
    ['worker', {}],
    ['start', { SCHEDULER: 'off' }],
  ])('%s with %o processes and does not schedule', async (command, more) => {
    await often()
    const one = start([command], { cwd, env: env(more) })
    await one.says(/reads tasks/)
    await sql`select pgmq.send('tasks', '{}'::jsonb, '{"x-run-at": "by hand"}'::jsonb)`
    await one.says(/ran by hand/)
    expect(one.text()).not.toMatch(/the scheduler sends/)
    expect(await ticksOf(sql, 'often')).toEqual([])
  })
})

test('what was typed wrong ends with 2 before anything is connected, and says how to type it', async () => {
  const add = (...args: string[]) => inProcess(cwd, ['schedules', 'add', ...args])
  for (const [args, said] of [
    [['a b', '* * * * *', 'tasks', '{}'], /"a b" is no name for a schedule: use 1 to 100 of/],
    [
      ['x', '* * * *', 'tasks', '{}'],
      /is no cron expression: write five fields.*quote it for your shell, for example/,
    ],
    [['x', '61 * * * *', 'tasks', '{}'], /invalid value for minute: 61/],
    [['x', '0 0 30 2 *', 'tasks', '{}'], /"0 0 30 2 \*" never runs: there is no such day/],
    [
      ['x', '* * * * *', 'tasks', '{}', '--timezone', 'Mars/Base'],
      /"Mars\/Base" is no time zone: write a name like/,
    ],
    [['x', '* * * * *', 'Not A Queue', '{}'], /is no queue name/],
    [
      ['x', '* * * * *', 'tasks', '{to: x}'],
      /the message is not JSON .*; quote it for your shell, for example: npx queue-worker schedules add/,
    ],
    [['x', '* * * * *', 'tasks', '{}', '--headers', '[1]'], /--headers is not a JSON object/],
    [
      ['x', '* * * * *', 'tasks', '{}', '--missed', 'some'],
      /'some' is invalid. Allowed choices are skip, one, all/,
    ],
    [['x', '*', '*', '*', '*', '*', 'tasks', '{}'], /too many arguments/],
  ] as const) {
    const { code, out, err } = await add(...args)
    expect([code, out], args.join(' ')).toEqual([2, ''])
    expect(err).toMatch(said)
  }
})
