/** More dead letters than one call can handle within the database's time limit: the calls become small enough. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { survey, takeLetters } from '../../src/queue/letter-bites.ts'
import { createQueue } from '../../src/queue/queue.ts'
import { connectPostgres } from '../../src/services/postgres.ts'
import { KINDS, type Kind } from '../support/cli-env.ts'
import { faultBench } from '../support/fault-bench.ts'
import { createInspector, uniqueQueue } from '../support/queues.ts'
import { openTransport } from '../support/transports.ts'
import { until } from '../support/worker.ts'

const bench = faultBench()
const LETTERS = 1000
const TOO_LONG = { kind: 'timeout', message: expect.stringContaining('at its time limit') }
let name = ''

/** The server ends calls after a second: the API's by the role's setting, those of a direct connection by its own. */
const impatient = (kind: Kind) =>
  createQueue(
    kind === 'rpc'
      ? openTransport('rpc', bench.stack)
      : connectPostgres({ url: bench.stack.databaseUrl, requestTimeoutMs: 1200 }),
  )

beforeEach(async () => {
  name = uniqueQueue()
  const sql = bench.admin()
  await sql`alter role service_role set statement_timeout = '1s'`
  await sql`notify pgrst, 'reload config'`
  const patient = createQueue(openTransport('postgres', bench.stack))
  await patient.ensureQueue(name, { notify: false })
  await patient.close()
  // Errors of a size that makes it slow to look for a part of them.
  const dead = createInspector(sql).table('q', `${name}_dlq`)
  await sql`
    insert into ${dead} (vt, message)
    select now(), jsonb_build_object('message', n, 'dead_letter', jsonb_build_object('queue', ${name}::text, 'origin_key', ${name} || n,
      'reason', 'unrecoverable', 'error', repeat('it was too much, ', 50000) || case when n % 300 = 0 then 'NEEDLE' else '' end))
    from generate_series(1, ${LETTERS}::int) n`
})
afterEach(async () => {
  const sql = bench.admin()
  await sql`alter role service_role reset statement_timeout`
  await sql`notify pgrst, 'reload config'`
  await createInspector(sql).drop(name)
})

test.each(KINDS)('counting, listing, redriving and discarding them over %s', async (kind) => {
  const queue = impatient(kind)
  const look = createInspector(bench.admin())
  const filter = { error: 'needle' }
  const tooLong = (call: Promise<unknown>) =>
    call.then(
      () => false,
      (error: unknown) => {
        expect(error).toMatchObject(TOO_LONG)
        return true
      },
    )
  /** A call cannot look for fewer than one; while the machine is busy it may need another try. */
  const inTime = async <T>(call: () => Promise<T>): Promise<T> => {
    let answer = call()
    await until('it is answered in time', async () => {
      if (!(await tooLong(answer))) return true
      answer = call()
      return false
    })
    return answer
  }
  await until('one call for all of them takes too long', () => tooLong(queue.countDeadLetters(name, filter)))

  const found = await survey(queue, name, filter)
  expect(found).toMatchObject({ letters: 3, reasons: { unrecoverable: 3 } })
  const listed: unknown[] = []
  await takeLetters(found, 3, async (part) => {
    const list = () => queue.deadLetters(name, { ...filter, ...part, withMessages: true })
    const page = part.limit > 1 ? await list() : await inTime(list)
    listed.push(...page.map(({ message }) => message))
    return { count: page.length, lastId: page.at(-1)?.msgId ?? null }
  })
  expect(listed).toEqual([300, 600, 900])

  const sql = bench.admin()
  await sql.unsafe(`create function public.slowly() returns trigger language plpgsql as $$
    begin perform pg_sleep(0.1); return old; end $$`)
  await sql.unsafe(
    `create trigger slowly before delete on pgmq.q_${name}_dlq for each row execute function public.slowly()`,
  )
  const all = await survey(queue, name, {})
  const redriven: string[] = []
  const count = await takeLetters(all, 20, async (part) => {
    const bite = await queue.redrive(name, part)
    redriven.push(...bite.map(({ msgId }) => msgId))
    return { count: bite.length, lastId: bite.at(-1)?.deadMsgId ?? null }
  })
  expect(count).toBe(20)
  const back = await look.messages(name)
  expect(back.map(({ message }) => message)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1))
  expect(back.map(({ msg_id }) => msg_id)).toEqual(redriven)

  const discarded = await takeLetters(all, 20, async (part) => {
    const bite = await queue.discardDeadLetters(name, { ...part, all: true })
    return { count: bite.discarded, lastId: bite.lastId }
  })
  expect(discarded).toBe(20)
  const left = (await look.deadLetters(name)).map(({ message }) => message.message)
  expect(left).toEqual(Array.from({ length: LETTERS - 40 }, (_, i) => i + 41))
  await sql`drop function public.slowly() cascade`
  await queue.close()
})
