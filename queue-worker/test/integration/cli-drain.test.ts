import postgres from 'postgres'
import { afterAll, afterEach, beforeEach, describe, expect, inject, test } from 'vitest'
import { endAll, folder, removeFolder, run, start, writeProcessors } from '../support/cli.ts'
import { connectionEnv, KINDS, processorCode } from '../support/cli-env.ts'
import { createInspector, uniqueQueue } from '../support/queues.ts'

const stack = inject('stack')
const sql = postgres(stack.databaseUrl, { max: 1, onnotice: () => {} })
const look = createInspector(sql)
let cwd = ''
let queue = ''
beforeEach(async () => {
  cwd = await folder()
  queue = uniqueQueue()
  await sql`select pgmq.create(${queue})`
})
afterEach(async () => {
  await endAll()
  await look.drop(queue)
  await removeFolder(cwd)
})
afterAll(() => sql.end())

const send = (message: object, delay = 0) =>
  sql`select pgmq.send(${queue}, ${sql.json(message as never)}::jsonb, ${delay}::int)`

describe.each(KINDS)('over %s', (kind) => {
  const options = (body: string) => ({
    cwd,
    env: {
      ...connectionEnv(kind, stack),
      PROCESSORS: writeProcessors(cwd, { 'one.js': processorCode(queue, body) }),
      WORKER_BACKOFF_BASE_SECONDS: '600',
    },
  })

  test('it processes what is due, tells how each ended, and exits with 0', async () => {
    for (let n = 0; n < 20; n++) await send({ n })
    await send({ fail: true })
    await send({ never: true })
    await send({ later: true }, 3600)
    const body = `if (payload.fail) throw new Error('not today')
    if (payload.never) throw new UnrecoverableError('never')`
    const { code, out, text } = await run(['drain'], options(body))
    expect(code, text).toBe(0)
    expect(out).toMatch(/^drained: 20 succeeded, 1 failed and will be retried, 1 became dead letters$/m)
    expect(await look.archived(queue)).toHaveLength(20)
    expect((await look.messages(queue)).map(({ message }) => message)).toEqual([
      { fail: true },
      { later: true },
    ])
    expect(await look.deadLetters(queue)).toHaveLength(1)
  })

  test('an empty queue is drained at once', async () => {
    const { code, out } = await run(['drain'], options(''))
    expect(code).toBe(0)
    expect(out).toMatch(/^drained: 0 succeeded/m)
  })

  test('--within also waits for what becomes due in that time', async () => {
    await send({ n: 1 }, 3)
    await send({ n: 2 }, 3600)
    const { code, out, text } = await run(['drain', '--within', '1m'], options(''))
    expect(code, text).toBe(0)
    expect(out).toMatch(/^drained: 1 succeeded/m)
    expect((await look.messages(queue)).map(({ message }) => message)).toEqual([{ n: 2 }])
  })

  test('a signal ends it early, with 1 and what is not done still there', async () => {
    for (let n = 0; n < 30; n++) await send({ n })
    const cli = start(
      ['drain'],
      options(`console.log('begun'); await new Promise((done) => setTimeout(done, 500))`),
    )
    await cli.says(/begun/)
    cli.signal('SIGTERM')
    expect(await cli.ended, cli.text()).toBe(1)
    expect(cli.out()).toMatch(/^interrupted: \d+ succeeded/m)
    const done = await look.archived(queue)
    expect(done.length + (await look.messages(queue)).length).toBe(30)
    expect(done.length).toBeLessThan(30)
  })
})
