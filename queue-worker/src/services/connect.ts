/** From plain connection data to a transport of either kind. */
import type { ConnectionSettings, Transport } from '../queue/contract.ts'
import { connectPostgres } from './postgres.ts'
import { connectSupabase } from './supabase.ts'

export function connect(settings: ConnectionSettings): Transport {
  return settings.kind === 'rpc' ? connectSupabase(settings) : connectPostgres(settings)
}
