/** Calls of our functions with a time limit. */
import type { PendingQuery, Row, Sql } from 'postgres'
import type { PoolOptions } from './pool.ts'
import { openRenewable } from './renewable.ts'
import { requestCancel } from './socket.ts'
import { jsonStatement, type Statement, statementFor } from './statements.ts'

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
    const statement = statementFor(entryPoint, request)
    try {
      return statement.answer(await withLimit(query(used, statement), limitMs, options))
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

/** One call of `queue_worker_<entryPoint>` in a transaction. */
export async function callWithin(sql: Pick<Sql, 'unsafe'>, entryPoint: string, request: unknown) {
  const statement = jsonStatement(entryPoint, request)
  return statement.answer(await query(sql, statement))
}

/** Not sent before it is awaited. */
function query(sql: Pick<Sql, 'unsafe'>, { text, params }: Statement) {
  return sql.unsafe(text, params, { prepare: true })
}

async function withLimit<T extends readonly Row[]>(
  query: PendingQuery<T & Row[]>,
  limitMs: number,
  options: PoolOptions,
) {
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
    cancel(query, options)
    throw error
  }
}

/**
 * Stops it at the server. Not by `query.cancel()`, except for what was not sent yet: that opens a connection whose failure
 * nobody can catch, so that it would end the process, and that is taken for one of the pool's afterwards.
 */
function cancel(query: { cancel(): void }, options: PoolOptions): void {
  const backend: unknown = Reflect.get(query, 'state')
  if (isBackend(backend)) void requestCancel(options, backend)
  else query.cancel()
}

function isBackend(value: unknown): value is { pid: number; secret: number } {
  return typeof value === 'object' && value !== null && 'pid' in value && typeof value.pid === 'number'
}

function refusesOurSettings(error: unknown): boolean {
  return error instanceof Error && /unsupported startup parameter/i.test(error.message)
}
