import postgres from 'postgres'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { folder, freePort, removeFolder, run } from '../support/cli.ts'
import { connectionEnv, KINDS } from '../support/cli-env.ts'
import { createInspector, uniqueQueue } from '../support/queues.ts'

const stack = inject('stack')
const sql = postgres(stack.databaseUrl, { max: 1, onnotice: () => {} })
const look = createInspector(sql)
const queue = uniqueQueue()
let cwd = ''
beforeAll(async () => {
  cwd = await folder()
  await sql`select pgmq.create(${queue})`
})
afterAll(async () => {
  await look.drop(queue)
  await sql.end()
  await removeFolder(cwd)
})

describe.each(KINDS)('over %s', (kind) => {
  const env = connectionEnv(kind, stack)
  const send = (...args: string[]) => run(['send', ...args], { cwd, env })
  const newest = async () => (await look.messages(queue)).at(-1)

  test('a message arrives as it was written', async () => {
    const { code, out, err } = await send(queue, '{"text": "ä 😀 \\" \' $1", "list": [1, null, {"a": true}]}')
    expect([code, err]).toEqual([0, ''])
    const message = await newest()
    expect(out).toBe(`sent: message ${message?.msg_id} of ${queue}\n`)
    expect(message?.message).toEqual({ text: 'ä 😀 " \' $1', list: [1, null, { a: true }] })
  })

  test('--headers come with it', async () => {
    expect((await send(queue, '"just text"', '--headers', '{"trace": "abc"}')).code).toBe(0)
    expect(await newest()).toMatchObject({ message: 'just text', headers: { trace: 'abc' } })
  })

  test('--delay hides it for that long', async () => {
    expect((await send(queue, '{}', '--delay', '2h')).code).toBe(0)
    const message = await newest()
    expect(Number(message?.vt) - Number(message?.enqueued_at)).toBeCloseTo(7_200_000, -4)
  })

  test('--at hides it until then', async () => {
    const at = '2099-12-01T10:00:00+01:00'
    expect((await send(queue, '{}', '--at', at)).code).toBe(0)
    expect((await newest())?.vt).toEqual(new Date(at))
  })

  test('the same --key again sends nothing and tells the first message', async () => {
    const key = `key of ${kind}`
    const first = await send(queue, '{"n": 1}', '--key', key, '--json')
    const before = await look.messages(queue)
    const second = await send(queue, '{"n": 1}', '--key', key, '--json')
    const { msg_id } = JSON.parse(first.out)
    expect(JSON.parse(first.out)).toEqual({ queue, msg_id, duplicate: false })
    expect(JSON.parse(second.out)).toEqual({ queue, msg_id, duplicate: true })
    const third = await send(queue, '{"n": 1}', '--key', key)
    expect(third.out).toBe(`nothing new was sent, the key was used before: message ${msg_id} of ${queue}\n`)
    expect(await look.messages(queue)).toEqual(before)
  })

  test('a queue that is missing is named, with how to create it', async () => {
    const { code, out, err } = await send('no_such_queue', '{}')
    expect([code, out]).toEqual([3, ''])
    expect(err).toMatch(/no queue "no_such_queue"\n\nWhat to do: .*select pgmq\.create\('no_such_queue'\)/)
  })

  test('a database that is away is told, and exit 1 says that trying again may help', async () => {
    const port = await freePort()
    const away: Record<string, string> =
      kind === 'rpc'
        ? { SUPABASE_URL: `http://127.0.0.1:${port}` }
        : { DATABASE_URL: `postgresql://a:b@127.0.0.1:${port}/c` }
    const { code, err } = await run(['send', queue, '{}'], { cwd, env: { ...env, ...away } })
    expect(code).toBe(1)
    expect(err).toMatch(/^error: .*127\.0\.0\.1:\d+.*refused.*\n\nWhat to do: Check that the server runs/)
  })
})
