/** Arrays in transactions of processors: told to postgres.js, not asked for at each connection. */
import { afterAll, describe, expect, inject, test } from 'vitest'
import { connectPostgres } from '../../src/library.ts'
import { startProxy } from '../support/proxy.ts'
import { openTransport } from '../support/transports.ts'
import { until } from '../support/worker.ts'

describe('a transaction of a processor', () => {
  const transport = openTransport('postgres', inject('stack'))
  afterAll(() => transport.close())

  const when = new Date('2026-11-22T10:00:00.123Z')
  const id = '6d0c5a2e-1111-4222-8333-444455556666'
  const cases: [string, readonly unknown[]][] = [
    ['int[]', [1, 2, null]],
    ['int[]', []],
    [
      'int[][]',
      [
        [1, 2],
        [3, 4],
      ],
    ],
    ['bigint[]', ['9007199254740993']],
    ['float8[]', [0.1, -2]],
    ['numeric[]', ['1.50']],
    ['bool[]', [true, false]],
    [
      'text[]',
      ['a', '', 'null', 'NULL', 'with "quotes"', 'back\\slash', '{brace,comma}', ' space\nline ', 'ü€😀'],
    ],
    ['varchar[]', ['x,y']],
    ['uuid[]', [id]],
    ['timestamptz[]', [when]],
    ['jsonb[]', [{ a: [1, 'x"y\\z'] }, { b: null }]],
    ['json[]', [{ a: 1 }]],
    ['bytea[]', [Buffer.from([0, 92, 255])]],
  ]
  test.each(cases)('takes %s and gives it back: %j', async (type, values) => {
    // What postgres.js guesses a wrong type for (its array's element's) is given with sql.array, here as everywhere.
    const isGuessed = ['bool[]', 'timestamptz[]', 'bytea[]'].includes(type)
    const rows = await transport.transaction?.(
      (sql) =>
        sql`select ${isGuessed ? sql.array([...values] as never) : (values as never)}::${sql.unsafe(type)} as value`,
    )
    expect(rows?.[0]?.value).toEqual(values)
  })

  test('takes what sql.array makes', async () => {
    const rows = await transport.transaction?.(
      (sql) =>
        sql`select ${sql.array([1, 2])}::int[] as a, ${sql.array(['x', 'y'])} as b, ${sql.array([true])} as c`,
    )
    expect(rows?.[0]).toEqual({ a: [1, 2], b: ['x', 'y'], c: [true] })
  })

  test('on a connection that is cut right after the login fails, and ends nothing else', async () => {
    const unhandled: unknown[] = []
    const keep = (reason: unknown) => void unhandled.push(reason)
    process.on('unhandledRejection', keep)
    const url = new URL(inject('stack').databaseUrl)
    const proxy = await startProxy({ targetPort: Number(url.port) })
    url.port = String(proxy.port)
    const cuttable = connectPostgres({ url: url.href, connectTimeoutMs: 5000 })
    try {
      // Cut again and again while it connects: at some time in each phase of it.
      for (let delayMs = 0; delayMs < 30; delayMs += 1) {
        const transacted = cuttable.transaction?.((sql) => sql`select 1`)
        const ended = Promise.resolve(transacted).catch(() => {})
        await new Promise((resolve) => setTimeout(resolve, delayMs))
        proxy.cut()
        await ended
      }
      // A connection that was cut a moment ago may still be taken for a good one.
      await until('it connects again', async () => {
        const rows = await cuttable.transaction?.((sql) => sql`select 1 as one`).catch(() => [])
        return rows?.[0]?.one === 1
      })
      expect(unhandled).toEqual([])
    } finally {
      process.off('unhandledRejection', keep)
      await cuttable.close()
      await proxy.stop()
    }
  })
})
