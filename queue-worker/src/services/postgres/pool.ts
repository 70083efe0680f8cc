/** Pools of postgres.js, set up our way. */
import postgres, { type Sql } from 'postgres'
import type { Address } from './address.ts'
import { teachArrays } from './arrays.ts'
import { createSockets } from './socket.ts'

export type PoolOptions = {
  readonly address: Address
  readonly authorities: readonly string[] | undefined
  readonly connectTimeoutMs: number
  /** Connections at most; they are opened when there is work for them. */
  readonly max: number
  /** Idle ones are closed after this; null keeps them. */
  readonly idleSeconds: number | null
  /** The server ends a statement after this; poolers may refuse to hear of it at login. */
  readonly statementTimeoutMs?: number | undefined
  /** No transactions: then no call is queued behind a slow one while another connection becomes free. */
  readonly callsOnly?: boolean
  /** How long to wait before connecting again, in seconds; called whenever a connection ended. */
  readonly pauseSeconds?: () => number
}

/** When its `end` resolves, no connection of it is left. */
export function openPool(options: PoolOptions): Sql {
  const { address } = options
  const sockets = createSockets(options)
  const settings = {
    host: address.host,
    port: address.port,
    user: address.user,
    password: address.password,
    database: address.database,
    max: options.max,
    // TLS is ours, see socket.ts.
    socket: sockets.open,
    ssl: false,
    connect_timeout: Math.ceil(options.connectTimeoutMs / 1000),
    idle_timeout: options.idleSeconds,
    keep_alive: 30,
    // 0: nothing is sent ahead. Transactions of postgres.js do not work then.
    max_pipeline: options.callsOnly ? 0 : 1,
    // Asking for the types cannot be caught when it fails: see arrays.ts.
    fetch_types: false,
    backoff: options.pauseSeconds ?? (() => 0.1),
    prepare: !address.transactionPooler,
    target_session_attrs: undefined,
    onnotice: () => {},
    connection: {
      application_name: 'queue-worker',
      ...(options.statementTimeoutMs ? { statement_timeout: options.statementTimeoutMs } : {}),
    },
  }
  const sql = teachArrays(postgres(settings as postgres.Options<Record<string, never>>))
  const { end } = sql
  return Object.assign(sql, { end: (limit?: { timeout?: number }) => end(limit).finally(sockets.close) })
}
