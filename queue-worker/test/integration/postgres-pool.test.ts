/** A pool that has ended leaves nothing behind, whatever its connections were doing. */
import { expect, inject, onTestFinished, test } from 'vitest'
import { readAddress } from '../../src/services/postgres/address.ts'
import { openPool } from '../../src/services/postgres/pool.ts'
import { type ProxyMode, startProxy } from '../support/proxy.ts'
import { until } from '../support/worker.ts'

async function poolThrough(mode: ProxyMode) {
  const url = new URL(inject('stack').databaseUrl)
  const proxy = await startProxy({ targetPort: Number(url.port) })
  onTestFinished(proxy.stop)
  proxy.set(mode)
  url.port = String(proxy.port)
  const address = readAddress(url.href)
  const pool = openPool({
    ...{ address, authorities: undefined, connectTimeoutMs: 30_000, max: 1, idleSeconds: null },
  })
  return { proxy, pool }
}

test('a connection that opens while its pool ends is closed', async () => {
  const { pool, proxy } = await poolThrough('held')
  const asked = pool`select 1`.execute()
  asked.catch(() => {})
  await pool.end({ timeout: 0 })
  await expect(asked).rejects.toThrow()
  await until('the connection was opened', () => proxy.accepted() > 0)
  proxy.set('pass')
  await until('no connection is left', () => proxy.open() === 0)
})

test('a connection that hangs when its pool ends is closed', async () => {
  const { pool, proxy } = await poolThrough('pass')
  await pool`select 1`
  expect(proxy.open()).toBeGreaterThan(0)
  proxy.set('silent')
  await pool.end({ timeout: 0.1 })
  await until('no connection is left', () => proxy.open() === 0)
})
