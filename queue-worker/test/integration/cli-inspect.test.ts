/** `inspect`, `pause` and `resume` as a person uses them. */
import postgres from 'postgres'
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest'
import { createQueue } from '../../src/queue/queue.ts'
import { settling } from '../support/bench.ts'
import { endAll, folder, removeFolder, run } from '../support/cli.ts'
import { connectionEnv, KINDS } from '../support/cli-env.ts'
import { createInspector, uniqueQueue } from '../support/queues.ts'
import { openTransport } from '../support/transports.ts'

const stack = inject('stack')
const sql = postgres(stack.databaseUrl, { max: 1, onnotice: () => {} })
const look = createInspector(sql)
const queue = uniqueQueue()
const client = createQueue(openTransport('postgres', stack))
let cwd = ''
let died = ''
beforeAll(async () => {
  cwd = await folder()
  await client.ensureQueue(queue, { notify: false })
  await client.send([{ queue, message: { to: 'ann\u001b[2J', n: 1 } }])
  const demand = [{ queue, limit: 1, visibilityTimeoutSeconds: 60 }]
  const read = async () => (await client.read(demand, 1e6)).messages[0] ?? expect.fail()
  const error = 'Error: mailbox full\n    second line'
  await client.settle([settling(await read(), { kind: 'retry', delayMs: 0, error })], 'worker-1')
  const message = await read()
  await client.ledgerStart(message.originKey, 'mail', false, 'run-1')
  await client.settle([settling(message, 'dead')], 'worker-2')
  died = message.msgId
})
afterEach(endAll)
afterAll(async () => {
  await look.drop(queue)
  await client.close()
  await sql.end()
  await removeFolder(cwd)
})

describe.each(KINDS)('over %s', (kind) => {
  const env = connectionEnv(kind, stack)
  const cli = (...args: string[]) => run(args, { cwd, env })

  test('inspect tells where a message is, how its deliveries ended, its steps and its payload', async () => {
    const { code, out, err } = await cli('inspect', queue, died)
    expect([code, err]).toEqual([0, ''])
    expect(out).toMatch(new RegExp(`^message ${died} of ${queue}: dead, as letter 1 of ${queue}_dlq\n`))
    expect(out).toMatch(/^reason +unrecoverable\nerror +it can never work$/m)
    expect(out).toMatch(/^1 +retry +20\S+ +worker-1\n2 +dead +20\S+ +worker-2$/m)
    expect(out).toContain('error of delivery 1\nError: mailbox full\n    second line')
    expect(out).toMatch(/^mail +started, its end is not known/m)
    expect(out).toMatch(/payload\n\{\n {2}"n": 1,\n {2}"to": "ann\\u001b\[2J"\n\}\n$/)
  })

  test('--json gives all of it, also by the id of the letter', async () => {
    const { out } = await cli('inspect', `${queue}_dlq`, '1', '--json')
    expect(JSON.parse(out)).toMatchObject({
      queue,
      msgId: died,
      state: 'dead',
      deadMsgId: '1',
      message: { n: 1 },
      deliveries: [{ outcome: 'retry', error: expect.stringContaining('mailbox full') }, { outcome: 'dead' }],
    })
  })

  test('a message of which nothing is known is told so and ends with 1', async () => {
    const { code, out } = await cli('inspect', queue, '999')
    expect([code, out]).toEqual([1, expect.stringContaining(`Nothing is known of message 999 of ${queue}`)])
  })

  test.each([
    ['inspect', (name: string) => ['inspect', name, '1']],
    ['pause', (name: string) => ['pause', name]],
    ['dead-letters', (name: string) => ['dead-letters', 'list', name]],
    ['limit', (name: string) => ['limit', name, '1/1s']],
  ])('%s with a mistyped queue names the one that was meant', async (_, args) => {
    const { code, err } = await cli(...args(`x${queue}`))
    expect(code).toBe(3)
    expect(err).toContain(`error: there is no queue "x${queue}"`)
    expect(err).toMatch(new RegExp(`Did you mean ${queue}\\? These exist: .*${queue}`))
  })

  test('pause and resume do so for all workers, as often as they are told', async () => {
    const demand = [{ queue, limit: 1, visibilityTimeoutSeconds: 60 }]
    const state = async () => (await client.read(demand, 1e6)).queues[0]?.status
    expect((await cli('pause', queue)).out).toMatch(/is paused for all workers; what is in flight finishes/)
    expect(await state()).toBe('paused')
    expect((await cli('pause', queue)).out).toMatch(/is paused already/)
    expect((await cli('queues')).out).toMatch(new RegExp(`^${queue} .* paused`, 'm'))
    const { out } = await cli('resume', queue, '--json')
    expect(JSON.parse(out)).toEqual([{ queue, paused: false, was: true }])
    expect(await state()).toBe('ok')
  })
})
