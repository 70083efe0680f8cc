/** Calls of our functions with a time limit, on a pool that is replaced when a connection hangs. */
import type { PendingQuery, Row, Sql } from 'postgres'
import { functionName } from '../entry-point.ts'
import { openPool, type PoolOptions } from './pool.ts'

export type Calls = {
  call(entryPoint: string, request: unknown): Promise<unknown>
  /** For a statement of our own; a renewed pool has another one. */
  sql(): Sql
  close(): Promise<void>
}

/**
 * `limitMs` is the client's patience for connecting and the answer together; the server is told to stop a
 * statement `statementTimeoutMs` after it began, if that is given.
 */
export function openCalls(options: PoolOptions, limitMs: number): Calls {
  let settings = options
  let pool = openPool(settings)

  /** postgres.js never gives up a connection that hangs; a new pool does. */
  const renew = (old: Sql) => {
    if (pool !== old) return
    pool = openPool(settings)
    void old.end({ timeout: 5 })
  }

  const call = async (entryPoint: string, request: unknown): Promise<unknown> => {
    const used = pool
    const query = entryPointQuery(used, entryPoint, request)
    try {
      return answerOf(await withLimit(query, limitMs))
    } catch (error) {
      const code = codeOf(error)
      if (code === 'REQUEST_TIMEOUT') query.cancel()
      if (code === 'REQUEST_TIMEOUT' || code === 'CONNECT_TIMEOUT') renew(used)
      if (!refusesOurSettings(error) || settings.statementTimeoutMs === undefined) throw error
      // A pooler that looked like a server: do without the server's time limit.
      settings = { ...settings, statementTimeoutMs: undefined }
      renew(used)
      return call(entryPoint, request)
    }
  }

  return { call, sql: () => pool, close: () => pool.end({ timeout: 5 }) }
}

/** One call of `queue_worker_<entryPoint>`, not sent before it is awaited. */
export function entryPointQuery(sql: Pick<Sql, 'unsafe'>, entryPoint: string, request: unknown) {
  // As text and cast here: postgres.js would have its own ideas of arrays and strings.
  const json = JSON.stringify(request) ?? 'null'
  const text = `select public.${functionName(entryPoint)}($1::text::jsonb) as answer`
  return sql.unsafe(text, [json], { prepare: true })
}

export function answerOf(rows: readonly Row[]): unknown {
  return rows[0]?.answer
}

async function withLimit<T extends readonly Row[]>(query: PendingQuery<T & Row[]>, limitMs: number) {
  let timer: NodeJS.Timeout | undefined
  const limit = new Promise<never>((_, reject) => {
    const error = Object.assign(new Error(`no answer within ${limitMs} ms`), { code: 'REQUEST_TIMEOUT' })
    timer = setTimeout(reject, limitMs, error)
  })
  try {
    return await Promise.race([query, limit])
  } finally {
    clearTimeout(timer)
    // Should it fail after all, nobody is waiting any more.
    query.catch(() => {})
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error ? Reflect.get(error, 'code') : undefined
}

function refusesOurSettings(error: unknown): boolean {
  return error instanceof Error && /unsupported startup parameter/i.test(error.message)
}
