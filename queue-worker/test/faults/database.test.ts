/** PostgreSQL or PostgREST stops and starts again under two workers, one over each transport. */
import { describe, expect, test } from 'vitest'
import { endAll, folder, freePort, logLines, removeFolder, start, writeProcessors } from '../support/cli.ts'
import { connectionEnv, KINDS, processorCode } from '../support/cli-env.ts'
import { faultBench } from '../support/fault-bench.ts'
import {
  each,
  hasLostLeases,
  isGreen,
  isRed,
  messages,
  type Side,
  settledCount,
  tellEachOutageOnce,
  UNMOVED,
} from '../support/fault-sides.ts'
import { createInspector } from '../support/queues.ts'
import { until } from '../support/worker.ts'

const bench = faultBench()

const HOLDS = 4

describe.each(['fast', 'immediate'] as const)('PostgreSQL stopped (%s) and started again', (mode) => {
  test('loses nothing, repeats only what ran past its lease, and is told once', async () => {
    const sides = await bench.pair()
    const sql = bench.admin()
    // Two of those that hold end while the server is away, two outlive their leases; the rest streams by.
    await bench.send(sql, sides, messages(1, HOLDS, true))
    await each('they run', sides, ({ runs }) => runs.size === HOLDS)
    let count = HOLDS
    const left = (side: Side) => count - HOLDS - settledCount(side)
    await until('both are in the middle of the stream', async () => {
      if (sides.some((side) => left(side) < 100)) {
        await bench.send(sql, sides, messages(count + 1, count + 100))
        count += 100
      }
      return sides.every((side) => settledCount(side) > 20 && left(side) >= 50)
    })

    await bench.parts.stopPostgres(mode)
    for (const side of sides) side.open(1, 2)
    await each('its outcomes wait', sides, ({ worker }) => worker.health().unsettled >= 2)
    await each('it is not ready', sides, isRed)
    const ended = sides.map((side) => side.back())
    for (const { worker } of sides) expect(worker.health().reason).toMatch(/has not answered for/)
    await each('it has lost the leases of what runs', sides, (side) => hasLostLeases(side, 3, 4))
    expect(sides.map((side) => side.back())).toEqual(ended)

    await bench.parts.startPostgres()
    for (const side of sides) side.open(3, 4)
    await each('it is ready again', sides, isGreen)
    await bench.account(bench.admin(), sides, count, { 3: 2, 4: 2 })
    await tellEachOutageOnce(sides, ['unavailable', 'refused', 'disconnected', 'timeout'])
    for (const side of sides) {
      for (const { transient, remedy } of side.failures()) {
        expect(transient).toBe(true)
        expect(remedy).toMatch(/again|Check that the server runs/)
      }
    }
    const [, direct] = sides
    await each('it listens again', [direct], ({ worker }) => worker.health().wake === 'notify')
  })
})

describe('PostgREST stopped and started again', () => {
  test('takes the worker that needs it out of service, and no other', async () => {
    const sql = bench.admin()
    const sides = await bench.pair({ visibilityTimeoutSeconds: 30, only: { postgres: UNMOVED } })
    const [rpc, direct] = sides
    await bench.send(sql, sides, [...messages(1, 2, true), ...messages(3, 50)])
    await each(
      'all but the held are done',
      sides,
      (side) => settledCount(side) === 48 && side.runs.size === 50,
    )

    await bench.parts.stopPostgrest()
    rpc.open(1, 2)
    direct.open(1, 2)
    await bench.send(sql, sides, messages(51, 100))
    await each('it is not ready', [rpc], isRed)
    await bench.account(sql, [direct], 100, {})
    expect(direct.worker.health()).toMatchObject({ ready: true })
    expect(direct.lost()).toEqual([])
    expect(rpc.worker.health().unsettled).toBe(2)

    await bench.parts.startPostgrest()
    await each('it is ready again', [rpc], isGreen)
    await bench.account(sql, [rpc], 100, {})
    await tellEachOutageOnce([rpc], ['unavailable', 'disconnected', 'timeout'])
    expect(rpc.failures().find(({ kind }) => kind === 'unavailable')).toMatchObject({
      message: expect.stringMatching(/PostgREST does not answer/),
    })
  })
})

describe('a database that does not come back', () => {
  test('ends the process after WORKER_GIVE_UP_SECONDS with what was wrong, after readiness was red', async ({
    onTestFinished,
  }) => {
    const { stack, parts } = bench
    const cwd = await folder()
    onTestFinished(() => removeFolder(cwd))
    onTestFinished(endAll)
    // Its lease is over long before the process ends.
    const held = `await new Promise((_, reject) =>
      context.signal.addEventListener('abort', () => reject(context.signal.reason)))`
    const code = processorCode('orders', held, 'visibilityTimeoutSeconds: 5, concurrency: 1,')
    const processors = writeProcessors(cwd, { 'one.ts': code })
    const clis = await Promise.all(
      KINDS.map(async (kind) => {
        const port = await freePort()
        const env = {
          ...connectionEnv(kind, stack),
          PORT: `${port}`,
          HOST: '127.0.0.1',
          PROCESSORS: processors,
        }
        const cli = start(['start'], { cwd, env: { ...env, WORKER_GIVE_UP_SECONDS: '25' } })
        const ready = () => fetch(`http://127.0.0.1:${port}/readyz`).then(({ status }) => status)
        await cli.says(/reads orders/)
        await until(`${kind} is ready`, async () => (await ready()) === 200)
        return { kind, cli, ready }
      }),
    )
    const sent = 4
    const sql = bench.admin()
    await sql`select pgmq.send('orders', jsonb_build_object('n', n)) from generate_series(1, ${sent}::int) n`
    const look = createInspector(sql)
    const reads = async () => (await look.messages('orders')).map(({ read_ct }) => read_ct)
    await until('both hold a message', async () => (await reads()).filter((count) => count > 0).length > 1)

    await parts.stopPostgres('fast')
    await Promise.all(
      clis.map(async ({ kind, cli, ready }) => {
        await until(`${kind} is not ready`, async () => (await ready()) === 503)
        expect(await cli.ended, cli.text()).toBe(1)
        const [what = '', todo = ''] = cli.err().split('\n\nWhat to do: ')
        expect(what, kind).toMatch(/^error: /m)
        expect(todo.length, kind).toBeGreaterThan(20)
        const lost = logLines(cli.text()).filter(({ msg }) => /the database cannot be used/.test(String(msg)))
        expect(lost.length, kind).toBeGreaterThan(0)
        expect(new Set(lost.map((line) => line.kind)).size, kind).toBe(lost.length)
      }),
    )

    await parts.startPostgres()
    const after = createInspector(bench.admin())
    const left = await after.messages('orders')
    expect(left).toHaveLength(sent)
    expect(left.every(({ vt }) => vt.getTime() < Date.now())).toBe(true)
    expect(await after.outcomes('orders')).toEqual([])
    expect(await after.archived('orders')).toEqual([])
    expect(await after.deadLetters('orders')).toEqual([])
  })
})
