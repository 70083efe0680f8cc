/** The direct transport: postgres.js calls our functions. Its owner, together with the files in `postgres/`. */
import type { Sql } from 'postgres'
import type { Transport } from '../queue/contract.ts'
import { classifyFailure } from './failures.ts'
import { preferIpv4, trustedAuthorities } from './network.ts'
import { readAddress } from './postgres/address.ts'
import { callWithin, openCalls } from './postgres/calls.ts'
import { listen } from './postgres/listen.ts'
import { openPool } from './postgres/pool.ts'
import { openRenewable } from './postgres/renewable.ts'

export type PostgresOptions = {
  /** postgresql://user:password@host:port/database?sslmode=… */
  readonly url: string
  /** PEM file with further authorities to trust, beside Node's. */
  readonly caFile?: string | undefined
  /** Connections for calls, and as many again for transactions; notifications have one of their own. */
  readonly connections?: number | undefined
  readonly connectTimeoutMs?: number | undefined
  /** The client gives a call up after this; the server does a little before, where it can be told to. */
  readonly requestTimeoutMs?: number | undefined
  readonly preferIpv4?: boolean | undefined
}

/**
 * Connects with the first call.
 * @throws SetupError when the connection string or the CA file cannot be read.
 */
export function connectPostgres(options: PostgresOptions): Transport {
  const { connections = 4, connectTimeoutMs = 30_000, requestTimeoutMs = 30_000 } = options
  const { address, base, fail, target } = prepare(options)
  const pool = { ...base, max: connections, idleSeconds: 60 }
  const statementTimeoutMs = address.pooler ? undefined : Math.ceil((requestTimeoutMs * 5) / 6)
  // Connecting has a limit and an error of its own; the call's must not come first.
  const limitMs = Math.max(requestTimeoutMs, connectTimeoutMs + 1000)
  const calls = openCalls({ ...pool, callsOnly: true, statementTimeoutMs }, limitMs)
  const transactions = openRenewable(pool)
  const subscriptions = new Set<() => Promise<void>>()

  return {
    kind: 'postgres',
    target,
    settings: {
      kind: 'postgres',
      url: options.url,
      caFile: options.caFile,
      connections: options.connections,
      connectTimeoutMs: options.connectTimeoutMs,
      preferIpv4: options.preferIpv4,
    },
    call: (entryPoint, request) => calls.call(entryPoint, request).catch(fail),
    async listen(onQueue, onLost) {
      if (address.transactionPooler) return null
      const stop = await listen(base, calls.sql(), { onQueue, onLost }).catch(fail)
      if (stop === null) return null
      subscriptions.add(stop)
      return async () => {
        subscriptions.delete(stop)
        await stop()
      }
    },
    async transaction(run) {
      const used = transactions.current()
      // What the caller's code throws is the caller's; only what the database throws around it is ours.
      let thrown: { readonly error: unknown } | undefined
      let result: { readonly value: Awaited<ReturnType<typeof run>> } | undefined
      try {
        await used.begin(async (sql) => {
          try {
            const call = (entryPoint: string, request: unknown) =>
              callWithin(sql, entryPoint, request).catch(fail)
            result = { value: await run(sql, call) }
          } catch (error) {
            thrown = { error }
            throw error
          }
        })
      } catch (error) {
        transactions.broke(used, error)
        if (thrown !== undefined) throw thrown.error
        fail(error)
      }
      if (result === undefined) throw new Error('the transaction ended without a result')
      return result.value
    },
    async close() {
      const stops = [...subscriptions]
      subscriptions.clear()
      await Promise.all([calls.close(), transactions.close(), ...stops.map((stop) => stop())])
    },
  }
}

/**
 * A plain handle of postgres.js on the same terms, for migrations and checks; the caller ends it.
 * @throws SetupError as connectPostgres does. Its errors are the database's: see `classify`.
 */
export function openDatabase(options: PostgresOptions): { sql: Sql; classify(error: unknown): Error } {
  const { base, classify } = prepare(options)
  return { sql: openPool({ ...base, max: options.connections ?? 1, idleSeconds: 60 }), classify }
}

function prepare(options: PostgresOptions) {
  if (options.preferIpv4) preferIpv4()
  const address = readAddress(options.url)
  const caFile = options.caFile ?? address.rootCertFile
  const authorities = caFile === undefined ? undefined : trustedAuthorities(caFile)
  const target = `${address.socketPath ?? `${address.host}:${address.port}`}/${address.database}`
  const secrets = [address.password, encodeURIComponent(address.password), options.url]
  const context = { transport: 'postgres', target, host: address.host, secrets } as const
  const classify = (error: unknown) => classifyFailure(error, context)
  const fail = (error: unknown): never => {
    throw classify(error)
  }
  const base = { address, authorities, connectTimeoutMs: options.connectTimeoutMs ?? 30_000 }
  return { address, base, classify, fail, target }
}
