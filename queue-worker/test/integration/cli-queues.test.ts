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
  await sql`insert into queue_worker.queues (queue, breaker_until, breaker_opened_at, breaker_trips, breaker_reason)
    values (${queue}, now() + interval '1 hour', now(), 1, ${'the other side\u001b[2J is\ndown\u202e'})`
  await sql`insert into queue_worker.outcomes (queue, msg_id, enqueued_at, delivery, outcome, error)
    values (${queue}, 99, now(), 1, 'retry', ${'it failed \u001b[31mred\nsecond line'})`
})
afterEach(endAll)
afterAll(async () => {
  await look.drop(queue)
  await sql.end()
  await removeFolder(cwd)
})

describe.each(KINDS)('over %s', (kind) => {
  const env = connectionEnv(kind, stack)

  test('a table shows what is ready, hidden and dead, that nobody works on it, and the last error', async () => {
    const { code, out, err } = await run(['queues'], { cwd, env })
    expect([code, err]).toEqual([0, ''])
    expect(out).toMatch(
      /^queue +ready +in flight +delayed +retrying +dead +oldest ready +workers +last error\n/,
    )
    expect(out).toMatch(
      new RegExp(
        `^${queue} +2 +0 +1 +0 +1 +\\d+ (s|min) +0 +breaker open \\(trip 1\\) +\\d+ (s|min) ago: it failed .31mred second line$`,
        'm',
      ),
    )
    expect(out).toMatch(new RegExp(`^${queue}: the other side .2J is down$`, 'm'))
    expect(out).not.toMatch(/[^\P{C}\n]/u)
  })

  test('--json gives the same numbers', async () => {
    const { out } = await run(['queues', '--json'], { cwd, env })
    const found = JSON.parse(out).find((one: { queue: string }) => one.queue === queue)
    expect(found).toEqual({
      queue,
      ready: 2,
      inFlight: 0,
      delayed: 1,
      retrying: 0,
      dead: 1,
      estimated: [],
      paused: false,
      workers: 0,
      rateLimit: null,
      breaker: { state: 'open', trips: 1, reason: 'the other side\u001b[2J is\ndown\u202e' },
      oldestReadySeconds: expect.any(Number),
      lastError: 'it failed \u001b[31mred\nsecond line',
      lastErrorAt: expect.any(String),
    })
  })

  test('--watch shows them again and again until Ctrl-C', async () => {
    const cli = start(['queues', '--watch'], { cwd, env })
    await cli.says(/queue +ready[\s\S]*queue +ready/)
    cli.signal('SIGINT')
    expect([await cli.ended, cli.err()]).toEqual([0, ''])
  })
})
