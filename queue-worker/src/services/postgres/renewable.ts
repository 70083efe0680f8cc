/**
 * A pool that is replaced as a whole when a connection of it broke. postgres.js never gives up a connection that
 * hangs, and after a server ended one with a message, it takes that message for the answer to the next query.
 */
import type { Sql } from 'postgres'
import { openPool, type PoolOptions } from './pool.ts'

export type RenewablePool = {
  current(): Sql
  /** Replaces the pool if the error says that a connection of it broke. What still runs there has 5 s to end. */
  broke(used: Sql, error: unknown): void
  /** Replaces it by one that is set up otherwise. */
  replace(used: Sql, options: PoolOptions): void
  close(): Promise<void>
}

/** How long calls on other connections of a replaced or closed pool may take to end. */
const GRACE_MS = 5000

/** Ends of a connection: hanging, cut off, or ended by the server (57P01 to 57P03). */
const BROKEN =
  /^(REQUEST_TIMEOUT|CONNECT_TIMEOUT|CONNECTION_(CLOSED|DESTROYED)|ECONNRESET|EPIPE|ETIMEDOUT|57P0[1-3])$/

export function openRenewable(initial: PoolOptions): RenewablePool {
  let options = initial
  let pool = openPool(options)
  let closed = false
  const retired = new Set<() => Promise<void>>()

  const replace = (used: Sql, next: PoolOptions) => {
    if (pool !== used || closed) return
    options = next
    pool = openPool(options)
    // At once when its time is up: postgres.js would wait for connections that are gone.
    const end = () => {
      clearTimeout(timer)
      retired.delete(end)
      return used.end({ timeout: 0 })
    }
    const timer = setTimeout(end, GRACE_MS).unref()
    retired.add(end)
  }

  return {
    current: () => pool,
    broke(used, error) {
      if (codes(error).some((code) => BROKEN.test(code))) replace(used, options)
    },
    replace,
    async close() {
      closed = true
      await Promise.all([pool.end({ timeout: GRACE_MS / 1000 }), ...[...retired].map((end) => end())])
    },
  }
}

function codes(error: unknown): string[] {
  if (!(error instanceof Error)) return []
  const code: unknown = Reflect.get(error, 'code')
  return [...(typeof code === 'string' ? [code] : []), ...codes(error.cause)]
}
