import postgres from 'postgres'
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest'
import { endAll, folder, removeFolder, run, start } from '../support/cli.ts'
import { connectionEnv, KINDS } from '../support/cli-env.ts'
import { createInspector, uniqueQueue } from '../support/queues.ts'

const stack = inject('stack')
const sql = postgres(stack.databaseUrl, { max: 1, onnotice: () => {} })
const look = createInspector(sql)
const queue = uniqueQueue()
let cwd = ''
beforeAll(async () => {
  cwd = await folder()
  for (const name of [queue, `${queue}_dlq`]) await sql`select pgmq.create(${name})`
  for (const delay of [0, 0, 3600]) await sql`select pgmq.send(${queue}, '{}'::jsonb, ${delay}::int)`
  await sql`select pgmq.send(${`${queue}_dlq`}, '{}'::jsonb)`
})
afterEach(endAll)
afterAll(async () => {
  await look.drop(queue)
  await sql.end()
  await removeFolder(cwd)
})

describe.each(KINDS)('over %s', (kind) => {
  const env = connectionEnv(kind, stack)

  test('a table shows what is ready, hidden and dead', async () => {
    const { code, out, err } = await run(['queues'], { cwd, env })
    expect([code, err]).toEqual([0, ''])
    expect(out).toMatch(/^queue +ready +in flight or delayed +dead +oldest ready\n/)
    expect(out).toMatch(new RegExp(`^${queue} +2 +1 +1 +\\d+ (s|min)$`, 'm'))
  })

  test('--json gives the same numbers', async () => {
    const { out } = await run(['queues', '--json'], { cwd, env })
    const found = JSON.parse(out).find((one: { queue: string }) => one.queue === queue)
    expect(found).toEqual({
      queue,
      ready: 2,
      hidden: 1,
      dead: 1,
      paused: false,
      rateLimit: null,
      breaker: null,
      oldestReadySeconds: expect.any(Number),
    })
  })

  test('--watch shows them again and again until Ctrl-C', async () => {
    const cli = start(['queues', '--watch'], { cwd, env })
    await cli.says(/queue +ready[\s\S]*queue +ready/)
    cli.signal('SIGINT')
    expect([await cli.ended, cli.err()]).toEqual([0, ''])
  })
})
