/** `dead-letters` as a person uses it: listing, choosing, dry runs, bites, pace, and discarding only when told twice. */
import postgres from 'postgres'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest'
import { runCli } from '../../src/cli.ts'
import type { Io } from '../../src/commands/io.ts'
import { createQueue } from '../../src/queue/queue.ts'
import { endAll, folder, removeFolder, run } from '../support/cli.ts'
import { connectionEnv, KINDS } from '../support/cli-env.ts'
import { createInspector, uniqueQueue } from '../support/queues.ts'
import { openTransport } from '../support/transports.ts'

const stack = inject('stack')
const sql = postgres(stack.databaseUrl, { max: 1, onnotice: () => {} })
const look = createInspector(sql)
const client = createQueue(openTransport('postgres', stack))
let queue = ''
let cwd = ''
beforeAll(async () => {
  cwd = await folder()
})
beforeEach(async () => {
  queue = uniqueQueue()
  await client.ensureQueue(queue, { notify: false })
})
afterEach(async () => {
  await endAll()
  await look.drop(queue)
})
afterAll(async () => {
  await client.close()
  await sql.end()
  await removeFolder(cwd)
})

/** Letters as the SQL makes them, in one statement; every third is of another reason. */
const bury = (count: number) => sql`
  insert into ${look.table('q', `${queue}_dlq`)} (vt, message)
  select now(), jsonb_build_object('message', n, 'headers', null, 'dead_letter', jsonb_build_object('queue', ${queue}::text,
    'msg_id', n, 'origin_key', ${queue} || n, 'error', 'mailbox ' || n || ' is full', 'attempts', 5, 'deliveries', 5, 'dead_at', now(),
    'reason', case when n % 3 = 0 then 'unrecoverable' else 'attempts_exhausted' end))
  from generate_series(1, ${count}::int) n`
const left = async () => (await look.deadLetters(queue)).map(({ message }) => message.message)

describe.each(KINDS)('over %s', (kind) => {
  const env = connectionEnv(kind, stack)
  const cli = (verb: string, ...args: string[]) => run(['dead-letters', verb, queue, ...args], { cwd, env })

  test('list shows reason and error, oldest first, and what is not shown', async () => {
    expect((await cli('list')).out).toBe(`no dead letter of ${queue} fits\n`)
    await bury(6)
    const { code, out, err } = await cli('list', '--limit', '2')
    expect([code, err]).toEqual([0, ''])
    expect(out).toMatch(/^id +died +reason +failures +deliveries +error\n/)
    expect(out).toMatch(/^ 1 +\d+ s ago +attempts_exhausted +5 +5 +mailbox 1 is full$/m)
    expect(out).toMatch(/\n6 dead letters \(.*\); 4 more fit \(--all\)\n$/)
    const found = JSON.parse((await cli('list', '--reason', 'unrecoverable', '--json')).out)
    expect(found).toMatchObject([{ msgId: '3', message: 3, originKey: `${queue}3` }, { msgId: '6' }])
    const byError = JSON.parse((await cli('list', '--error', 'BOX 4', '--since', '1h', '--json')).out)
    expect(byError).toMatchObject([{ msgId: '4' }])
    expect((await cli('list', '--before', '1h')).out).toContain('no dead letter')
    // The name of the dead-letter queue will do.
    expect((await run(['dead-letters', 'list', `${queue}_dlq`], { cwd, env })).out).toContain(
      '6 dead letters',
    )
  })

  test('redrive takes ids, a filter or all, and a dry run changes nothing', async () => {
    await bury(6)
    expect((await cli('redrive', '--reason', 'unrecoverable', '--dry-run')).out).toBe(
      `dry run, nothing was changed: 2 dead letters of ${queue} (unrecoverable 2)\n`,
    )
    expect(await left()).toHaveLength(6)
    expect((await cli('redrive', '3', '1')).out).toBe(`redriven: 2 dead letters of ${queue}\n`)
    expect(await left()).toEqual([2, 4, 5, 6])
    expect((await cli('redrive', '--limit', '1')).out).toBe(
      `redriven: 1 dead letter of ${queue}; 3 more fit (--all)\n`,
    )
    const { out } = await cli('redrive', '--error', 'is full', '--limit', '1', '--json')
    expect(JSON.parse(out)).toMatchObject({ queue, redriven: 1, messages: [{ deadMsgId: '4' }] })
    await cli('redrive', '--all')
    expect(await left()).toEqual([])
    expect((await look.messages(queue)).map(({ message }) => message)).toEqual([1, 3, 2, 4, 5, 6])
    const [row] =
      await sql`select origin_key from queue_worker.origins where queue = ${queue} order by msg_id limit 1`
    expect(row?.origin_key).toBe(`${queue}1`)
  })

  test('many come back in bites, in order, at the pace that was asked for', async () => {
    await bury(2500)
    const { code, out, err } = await cli('redrive', '--all', '--rate', '100/s')
    expect(code).toBe(0)
    expect(err).toBe('1000 of 2500 …\n2000 of 2500 …\n')
    expect(out).toBe(`redriven: 2500 dead letters of ${queue}; the last one becomes visible in 24 s\n`)
    const messages = await look.messages(queue)
    expect(messages.map(({ message }) => message)).toEqual(Array.from({ length: 2500 }, (_, i) => i + 1))
    // Whatever second one looks at, no more than the pace allows became due in it, give or take the seams of the bites.
    const due = messages.map(({ vt }) => vt.getTime()).toSorted((a, b) => a - b)
    expect((due.at(-1) ?? 0) - (due[0] ?? 0)).toBeGreaterThan(24_000)
    const most = Math.max(...due.map((at, i) => due.filter((other, j) => j >= i && other < at + 1000).length))
    expect(most).toBeLessThanOrEqual(200)
  })

  test('discard needs a choice and a yes, and takes no more than was chosen', async () => {
    await bury(6)
    expect((await cli('discard', '--all', '--dry-run')).out).toContain('6 dead letters')
    expect((await cli('discard', '--error', 'box 2', '--yes')).out).toBe(
      `discarded: 1 dead letter of ${queue}\n`,
    )
    expect(JSON.parse((await cli('discard', '1', '999', '--yes', '--json')).out)).toEqual({
      queue,
      discarded: 1,
    })
    expect(await left()).toEqual([3, 4, 5, 6])
    await cli('discard', '--all', '--yes')
    expect(await left()).toEqual([])
  })
})

/** Runs a command in this process, as the entry does. */
async function inProcess(args: readonly string[], io: Partial<Io>) {
  const before = { ...process.env }
  Object.assign(process.env, connectionEnv('postgres', stack))
  try {
    const silent = { out: () => {}, err: (text: string) => expect.fail(text), onStop: () => {} }
    return await runCli(args, { cwd, isTerminal: true, ...silent, ...io })
  } finally {
    for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name]
    Object.assign(process.env, before)
  }
}

test('Ctrl-C ends it between two bites, and says how far it came', async () => {
  await bury(2500)
  let stop = () => {}
  const out: string[] = []
  const code = await inProcess(['dead-letters', 'redrive', queue, '--all'], {
    onStop: (given) => {
      stop = given
    },
    err: () => stop(),
    out: (text) => void out.push(text),
  })
  expect(code).toBe(1)
  expect(out).toEqual([`redriven: 1000 dead letters of ${queue}; 1500 more fit (--all)`])
  expect(await left()).toHaveLength(1500)
})

test('discard asks the person at the terminal, and only yes means yes', async () => {
  await bury(3)
  const questions: string[] = []
  const out: string[] = []
  const answers = ['no', '', 'YES']
  for (const rest of [3, 3, 0]) {
    const code = await inProcess(['dead-letters', 'discard', queue, '--all'], {
      out: (text) => void out.push(text),
      ask: async (question) => {
        questions.push(question)
        return answers.shift() ?? ''
      },
    })
    expect(code).toBe(0)
    expect(await left()).toHaveLength(rest)
  }
  expect(questions[0]).toBe(
    `Discard 3 dead letters of ${queue} for good (unrecoverable 1, attempts_exhausted 2)? Type yes: `,
  )
  expect(out).toEqual([
    'nothing was discarded',
    'nothing was discarded',
    `discarded: 3 dead letters of ${queue}`,
  ])
})

test('letters that die again while all are redriven stay for the next time', async () => {
  await bury(3)
  const { newestId } = await client.countDeadLetters(queue, {})
  await bury(2)
  expect(await client.redrive(queue, { upToId: newestId ?? '0', limit: 1000 })).toHaveLength(3)
  expect(await left()).toHaveLength(2)
})
