/** A transaction whose connection is cut: it fails as a whole, harms nobody, and does not go on elsewhere. */
import postgres from 'postgres'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import type { Transport } from '../../src/library.ts'
import { uniqueQueue } from '../support/queues.ts'
import { openTransport } from '../support/transports.ts'
import { until } from '../support/worker.ts'

type Run = Parameters<NonNullable<Transport['transaction']>>[0]
type Handle = Parameters<Run>[0]

describe('a transaction whose connection is cut', () => {
  const table = `public.${uniqueQueue('cut')}`
  let sql: postgres.Sql
  let transport: Transport
  const uncaught: unknown[] = []
  const catchIt = (error: unknown) => void uncaught.push(error)

  beforeAll(async () => {
    sql = postgres(inject('stack').adminUrl, { max: 2, onnotice: () => {} })
    transport = openTransport('postgres', inject('stack'))
    await sql.unsafe(`create table ${table} (n int); grant all on ${table} to postgres`)
    process.on('uncaughtException', catchIt)
  })
  afterAll(async () => {
    process.off('uncaughtException', catchIt)
    await transport.close()
    await sql.unsafe(`drop table ${table}`)
    await sql.end()
  })

  const transact = async (run: (handle: Handle) => Promise<unknown>): Promise<unknown> =>
    transport.transaction?.((handle) => run(handle))
  const pidOf = async (handle: Handle) => Number((await handle`select pg_backend_pid() as pid`)[0]?.pid)
  const write = (handle: Handle, n: number) => handle.unsafe(`insert into ${table} values (${n})`)
  async function cut(pid: number): Promise<void> {
    await sql`select pg_terminate_backend(${pid})`
    await until('its session is gone', async () => {
      const rows = await sql`select 1 from pg_stat_activity where pid = ${pid}`
      return rows.length === 0
    })
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  const written = async () =>
    (await sql.unsafe(`select n from ${table} order by n`)).map(({ n }) => Number(n))

  test('between two statements fails at the next one, also if the code does not mind', async () => {
    const failures: unknown[] = []
    const transacted = transact(async (handle) => {
      await write(handle, 1)
      await cut(await pidOf(handle))
      await write(handle, 2).catch((error) => failures.push(error))
    })
    await expect(transacted).rejects.toMatchObject({ name: 'ConnectionFailure', transient: true })
    expect(failures).toHaveLength(1)
    expect(await written()).toEqual([])
    expect(uncaught).toEqual([])
  })

  test('during a statement fails, and the next transaction works', async () => {
    const transacted = transact(async (handle) => {
      const pid = await pidOf(handle)
      await write(handle, 4)
      const sleeping = handle`select pg_sleep(60)`.execute()
      await cut(pid)
      await sleeping
    })
    await expect(transacted).rejects.toThrow()
    expect(uncaught).toEqual([])
    await transact((handle) => write(handle, 5))
    expect(await written()).toEqual([5])
  })

  test('does not go on inside a transaction that another one has begun meanwhile', async () => {
    const others: Promise<unknown>[] = []
    const transacted = transact(async (handle) => {
      await write(handle, 6)
      await cut(await pidOf(handle))
      // Enough to take every connection, and the one that was cut.
      for (let n = 100; n < 130; n += 1) {
        others.push(
          transact(async (other) => {
            await write(other, n)
            await new Promise((resolve) => setTimeout(resolve, 20))
          }),
        )
      }
      await new Promise((resolve) => setTimeout(resolve, 100))
      await write(handle, 7)
    })
    await expect(transacted).rejects.toThrow()
    await Promise.allSettled(others)
    const rows = await written()
    expect(rows).not.toContain(6)
    expect(rows).not.toContain(7)
    expect(uncaught).toEqual([])
  })
})
