/** Calls of our functions with a time limit. */
import type { PendingQuery, Row, Sql } from 'postgres'
import { functionName } from '../entry-point.ts'
import type { PoolOptions } from './pool.ts'
import { openRenewable } from './renewable.ts'

export type Calls = {
  call(entryPoint: string, request: unknown): Promise<unknown>
  /** For a statement of our own, at once: the pool may be another one later. */
  sql(): Sql
  close(): Promise<void>
}

/**
 * `limitMs` is the client's patience for connecting and the answer together; the server is told to stop a
 * statement `statementTimeoutMs` after it began, if that is given.
 */
export function openCalls(options: PoolOptions, limitMs: number): Calls {
  const pool = openRenewable(options)
  const plain: PoolOptions = { ...options, statementTimeoutMs: undefined }

  const attempt = async (entryPoint: string, request: unknown): Promise<unknown> => {
    const used = pool.current()
    const query = entryPointQuery(used, entryPoint, request)
    try {
      return answerOf(await withLimit(query, limitMs))
    } catch (error) {
      pool.broke(used, error)
      // A pooler that looked like a server: from now on without the server's time limit.
      if (refusesOurSettings(error)) pool.replace(used, plain)
      throw error
    }
  }

  return {
    call: (entryPoint, request) =>
      attempt(entryPoint, request).catch((error: unknown) => {
        if (refusesOurSettings(error)) return attempt(entryPoint, request)
        throw error
      }),
    sql: pool.current,
    close: pool.close,
  }
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
  // Should it fail after the limit, nobody is waiting for it any more.
  query.catch(() => {})
  try {
    return await Promise.race([query, limit.catch(giveUp)])
  } finally {
    clearTimeout(timer)
  }

  function giveUp(error: unknown): never {
    query.cancel()
    throw error
  }
}

function refusesOurSettings(error: unknown): boolean {
  return error instanceof Error && /unsupported startup parameter/i.test(error.message)
}
