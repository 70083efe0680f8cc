/** Scheduler processes that are killed, at any moment and at those that matter: each run is sent once. */
import { setTimeout as sleep } from 'node:timers/promises'
import postgres, { type Sql } from 'postgres'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Cli, endAll, entry, folder, removeFolder, start } from '../support/cli.ts'
import { connectionEnv, KINDS, type Kind } from '../support/cli-env.ts'
import { createInspector, uniqueQueue, untilBlockedBy } from '../support/queues.ts'
import {
  addSchedule,
  moveClock,
  passSeconds,
  runsIn,
  scheduleStack,
  ticksOf,
  waitForLocks,
} from '../support/schedules.ts'
import type { TestStack } from '../support/stack.ts'
import { until } from '../support/worker.ts'

const TICKS = 200
/** The last minutes before clocks go forward in Berlin, and the first after it. */
const BEGIN = '2026-03-29T00:58:00Z'

let stack: TestStack
let sql: Sql
let cwd = ''
let queue = ''
beforeAll(async () => {
  stack = await scheduleStack()
  sql = postgres(stack.databaseUrl, { max: 4, onnotice: () => {} })
  await waitForLocks(sql)
  cwd = await folder()
})
beforeEach(async () => {
  queue = uniqueQueue()
  await sql`select queue_worker.ensure_queue(${queue}, false)`
  await sql`delete from queue_worker.schedules where true`
  await moveClock(sql, BEGIN)
})
afterEach(async () => {
  await endAll()
  await createInspector(sql).drop(queue)
})
afterAll(async () => {
  await sql?.end()
  await stack?.dispose()
  await removeFolder(cwd)
})

const scheduler = (kind: Kind, env: Record<string, string> = {}, flags: readonly string[] = []): Cli =>
  start(['scheduler'], {
    cwd,
    command: [process.execPath, ...flags, entry],
    env: { ...connectionEnv(kind, stack), SCHEDULER_POLL_SECONDS: '0.5', ...env },
  })
const ticks = () => ticksOf(sql, 'seconds')

/** All of these seconds, each with one tick and one message. */
async function expectEachOnce(count: number): Promise<void> {
  const runs = Array.from({ length: count }, (_, n) => new Date(Date.parse(BEGIN) + (n + 1) * 1000))
  const made = await ticks()
  expect(made.map(({ run_at }) => run_at)).toEqual(runs)
  expect(new Set(made.map(({ msg_id }) => msg_id)).size).toBe(count)
  const sent = await runsIn(sql, queue)
  expect(sent.toSorted()).toEqual(runs.map((run) => run.toISOString().replace('.000', '')))
}

describe.each(KINDS)('over %s', (kind) => {
  test(`two schedulers, killed and started again at random through ${TICKS} ticks, send ${TICKS} messages`, {
    timeout: 240_000,
  }, async () => {
    await addSchedule(sql, { name: 'seconds', queue, timezone: 'Europe/Berlin' })
    const slots = [scheduler(kind), scheduler(kind)]
    await Promise.all(slots.map((one) => one.says(/the scheduler sends/)))
    let [passed, kills, atWork] = [0, 0, 0]

    async function kill(slot: number): Promise<void> {
      const before = (await ticks()).length
      slots[slot]?.signal('SIGKILL')
      expect(await slots[slot]?.ended).toBe('SIGKILL')
      kills += 1
      if (before < passed) atWork += 1
      slots[slot] = scheduler(kind)
    }

    while (passed < TICKS) {
      const seconds = Math.min(5 + Math.floor(Math.random() * 16), TICKS - passed)
      await passSeconds(sql, seconds)
      passed += seconds
      // Anywhere in the half second in which they wake, ask, plan and send.
      await sleep(Math.random() * 400)
      const victim = Math.floor(Math.random() * 2)
      await kill(victim)
      if (Math.random() < 0.3) await kill(1 - victim)
      // The other, or the one that was just started, goes on; sometimes it is not waited for.
      if (Math.random() < 0.7)
        await until('all is sent', async () => (await ticks()).length === passed, 60_000)
    }
    await until('all is sent', async () => (await ticks()).length === TICKS, 60_000)
    await expectEachOnce(TICKS)
    expect(kills).toBeGreaterThanOrEqual(10)
    expect(atWork).toBeGreaterThan(0)
    for (const one of slots) {
      await one.says(/the scheduler sends/)
      one.signal('SIGTERM')
      expect(await one.ended, one.text()).toBe(0)
    }
    await expectEachOnce(TICKS)
  })

  /** A scheduler that hangs in the transaction of a tick, because another session holds the table of ticks. */
  async function withinTick(meanwhile: (blocked: Cli, backend: number) => Promise<void>): Promise<void> {
    await addSchedule(sql, { name: 'seconds', queue })
    const victim = scheduler(kind)
    await victim.says(/the scheduler sends/)
    await until('it has planned', async () => {
      const [row] = await sql`select next_run_at from queue_worker.schedules`
      return row?.next_run_at !== null
    })
    await sql.begin(async (locker) => {
      await locker`lock table queue_worker.ticks in exclusive mode`
      await passSeconds(sql, 3)
      const [own] = await locker`select pg_backend_pid() as pid`
      await untilBlockedBy(sql, Number(own?.pid))
      const [waiting] = await locker`
        select pid from pg_stat_activity where ${Number(own?.pid)} = any (pg_blocking_pids(pid))`
      await meanwhile(victim, Number(waiting?.pid))
    })
  }

  test('killed before the commit of a tick, whose connection ends with it: another sends it', async () => {
    await withinTick(async (victim, backend) => {
      victim.signal('SIGKILL')
      expect(await victim.ended).toBe('SIGKILL')
      await sql`select pg_terminate_backend(${backend})`
    })
    expect(await ticks()).toEqual([])
    expect(await runsIn(sql, queue)).toEqual([])
    scheduler(kind)
    await until('another has sent them', async () => (await ticks()).length === 3)
    await expectEachOnce(3)
  })

  test('killed in a tick that the database then commits, before its answer is seen: it is not sent again', async () => {
    await withinTick(async (victim) => {
      victim.signal('SIGKILL')
      expect(await victim.ended).toBe('SIGKILL')
    })
    await until('it is committed', async () => (await ticks()).length === 3)
    scheduler(kind)
    await passSeconds(sql, 2)
    await until('another goes on', async () => (await ticks()).length === 5)
    await expectEachOnce(5)
  })

  test.each([3_600_000, -3_600_000])(
    'a scheduler whose clock is %i ms off sends by the clock of the database',
    async (offMs) => {
      await addSchedule(sql, { name: 'seconds', queue })
      const preload = new URL('../faults/clock-shift.ts', import.meta.url).href
      scheduler(kind, { CLOCK_OFF_MS: String(offMs) }, ['--import', preload])
      await passSeconds(sql, 5)
      await until('it has sent them', async () => (await ticks()).length === 5)
      await passSeconds(sql, 5)
      await until('it has sent the next', async () => (await ticks()).length === 10)
      await expectEachOnce(10)
    },
  )
})
