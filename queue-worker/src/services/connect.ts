/** From plain connection data to a transport of either kind. */
import type { ConnectionSettings, Transport } from '../queue/contract.ts'
import { connectPostgres } from './postgres.ts'
import { connectSupabase } from './supabase.ts'

/** What a caller needs beyond what the settings say. */
export type ConnectionLimits = {
  /** Over RPC: how long a call may take. */
  readonly rpcTimeoutMs?: number
  /** Over a direct connection: for calls, and as many again for transactions. */
  readonly connections?: number
}

export function connect(settings: ConnectionSettings, limits: ConnectionLimits = {}): Transport {
  if (settings.kind === 'rpc') return connectSupabase({ ...settings, requestTimeoutMs: limits.rpcTimeoutMs })
  return connectPostgres({ ...settings, connections: limits.connections ?? settings.connections })
}
