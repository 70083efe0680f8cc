/** A team's own processors, in the folder that PROCESSORS names. */
import postgres from 'postgres'
import { afterAll, afterEach, beforeEach, describe, expect, inject, test } from 'vitest'
import { endAll, folder, removeFolder, run, start, writeProcessors } from '../support/cli.ts'
import { connectionEnv, KINDS, processorCode } from '../support/cli-env.ts'
import { createInspector, uniqueQueue } from '../support/queues.ts'
import { until } from '../support/worker.ts'

const stack = inject('stack')
const sql = postgres(stack.databaseUrl, { max: 1, onnotice: () => {} })
const look = createInspector(sql)
let cwd = ''
const made: string[] = []
const newQueue = () => {
  const name = uniqueQueue()
  made.push(name)
  return name
}
beforeEach(async () => {
  cwd = await folder()
})
afterEach(async () => {
  await endAll()
  for (const name of made.splice(0)) await look.drop(name)
  await removeFolder(cwd)
})
afterAll(() => sql.end())

const envWith = (modules: Record<string, string>) => ({
  ...connectionEnv('rpc', stack),
  PROCESSORS: writeProcessors(cwd, modules),
})

test('modules of each kind are found, whatever way they export', async () => {
  const queues = Array.from({ length: 6 }, newQueue)
  const [one = '', two = '', three = '', four = '', five = '', six = ''] = queues
  const ts = (name: string) => processorCode(name, '')
  const env = envWith({
    'a.ts': ts(one),
    'b.js': ts(two),
    'c.mjs': ts(three),
    'list.mts': `${ts(four).replace('export default', 'const first =')}
      export default [first, { ...first, queue: '${five}' }]`,
    'made.ts': `${ts(six).replace('export default', 'const only =')}\nexport default async () => only`,
    'types.d.ts': 'export type Nothing = never',
    'a.test.ts': `throw new Error('a test is no processor')`,
    'notes.md': 'nor is this',
  })
  const cli = start(['start'], { cwd, env })
  await cli.says(/reads /)
  for (const name of queues) await sql`select pgmq.send(${name}, '{}'::jsonb)`
  for (const name of queues) {
    await until(`${name} is worked on`, async () => (await look.archived(name)).length === 1)
  }
  cli.signal('SIGTERM')
  expect(await cli.ended).toBe(0)
})

const good = processorCode('orders', '')
const REFUSED: readonly [string, Record<string, string>, RegExp, RegExp][] = [
  [
    'a syntax error',
    { 'broken.ts': 'export default {\n  queue: oops oops }' },
    /broken\.ts cannot be loaded: .*broken\.ts, line 2/,
    /Mend the module/,
  ],
  [
    'an error while it loads',
    { 'broken.ts': `throw new Error('no licence')` },
    /broken\.ts cannot be loaded: no licence \(\S*broken\.ts, line 1\)/,
    /Mend the module/,
  ],
  [
    'an import that is missing',
    { 'broken.js': `import 'no-such-package'` },
    /broken\.js cannot be loaded: .*no-such-package/,
    /npm install/,
  ],
  [
    'TypeScript that is more than types',
    { 'broken.ts': 'enum A { B }\nexport default A' },
    /broken\.ts cannot be loaded: .*enum/,
    /only removes types/,
  ],
  [
    'no default export',
    { 'helper.ts': 'export const x = 1' },
    /helper\.ts does not default-export a processor: there is no default/,
    /export default defineProcessor.*folder of their own/,
  ],
  [
    'something else',
    { 'one.ts': 'export default 42' },
    /one\.ts .*: it is number/,
    /export default defineProcessor/,
  ],
  [
    'no queue',
    { 'one.ts': good.replace(/queue: .*/, '') },
    /one\.ts .*: it has no queue/,
    /export default defineProcessor/,
  ],
  [
    'a queue that cannot be',
    { 'one.ts': good.replace("'orders'", "'My Orders'") },
    /one\.ts .*: "My Orders" is no queue name/,
    /export default defineProcessor/,
  ],
  [
    'a payload that is no schema',
    { 'one.ts': good.replace(/payload: .*/, 'payload: {} as never,') },
    /one\.ts .*: its payload is no zod schema/,
    /export default defineProcessor/,
  ],
  [
    'two for one queue',
    { 'a.ts': good, 'b.ts': good },
    /two processors are for queue orders, in \S*a\.ts and in \S*b\.ts/,
    /Keep one processor/,
  ],
  [
    'an empty folder',
    { 'README.md': '' },
    /the folder of processors, \S*processors, has no module/,
    /Put a module/,
  ],
]

describe('what cannot be used is refused at start, by name', () => {
  test.each(REFUSED)('%s', async (_what, modules, says, remedy) => {
    const { code, err } = await run(['start'], { cwd, env: envWith(modules) })
    expect(err).toMatch(says)
    expect(err.split('What to do: ')[1]).toMatch(remedy)
    expect(err).not.toMatch(/ {4}at /)
    expect(code).toBe(3)
  })

  test('QUEUES that names one without a processor', async () => {
    const env = { ...envWith({ 'one.ts': good }), QUEUES: 'orders,refunds' }
    const { code, err } = await run(['start'], { cwd, env })
    expect(code).toBe(3)
    expect(err).toMatch(/QUEUES names refunds, for which there is no processor \(there is one for: orders\)/)
    expect(err).toMatch(/What to do: Put processors of your own into a folder and set PROCESSORS/)
  })
})

describe.each(KINDS)('over %s', (kind) => {
  test('a message that kills its process ends as a dead letter, killed by itself alone, and the worker lives', async () => {
    const queue = newQueue()
    for (const name of [queue, `${queue}_dlq`]) await sql`select pgmq.create(${name})`
    const body = `if (payload.kill) process.exit(7)`
    const env = {
      ...connectionEnv(kind, stack),
      PROCESSORS: writeProcessors(cwd, { 'one.ts': processorCode(queue, body, 'maxAttempts: 2,') }),
      WORKER_VISIBILITY_TIMEOUT_SECONDS: '2',
      WORKER_BACKOFF_BASE_SECONDS: '0',
      WORKER_BACKOFF_MAX_SECONDS: '0',
    }
    await sql`select pgmq.send(${queue}, '{"kill": true}'::jsonb)`
    await sql`select pgmq.send(${queue}, '{}'::jsonb) from generate_series(1, 20)`
    let deaths = 0
    // As pm2 or systemd would: it is started again whenever it dies.
    for (;;) {
      const cli = start(['start'], { cwd, env })
      const isDone = async () =>
        (await look.deadLetters(queue)).length === 1 && (await look.archived(queue)).length === 20
      await until('it died, or all is done', async () => !cli.running() || (await isDone()), 60_000)
      if (cli.running()) {
        expect(cli.text()).toMatch(/it runs alone now/)
        cli.signal('SIGTERM')
        expect(await cli.ended).toBe(0)
        break
      }
      expect(await cli.ended).toBe(7)
      deaths += 1
      expect(deaths).toBeLessThan(4)
    }
    const [letter] = await look.deadLetters(queue)
    expect(letter?.message.message).toEqual({ kill: true })
    expect(String(letter?.message.dead_letter.error)).toMatch(/ended its process \(exit code 7\)/)
    expect(deaths).toBeGreaterThan(0)
  })
})
