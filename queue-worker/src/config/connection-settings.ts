/** From the settings to what a transport is made from. */
import { SetupError } from '../errors.ts'
import type { ConnectionSettings } from '../queue/contract.ts'
import type { Config } from './types.ts'

/** @throws SetupError that names what to set. */
export function connectionSettings(config: Config): ConnectionSettings {
  const { transport, supabase, database, connection } = config
  const { caFile, preferIpv4, poolSize: connections, connectTimeoutMs } = connection
  if (transport === 'rpc' && supabase !== undefined) return { kind: 'rpc', ...supabase, caFile, preferIpv4 }
  if (transport === 'postgres' && database !== undefined) {
    return { kind: 'postgres', ...database, caFile, preferIpv4, connections, connectTimeoutMs }
  }
  if (transport === 'embedded') {
    throw new SetupError(
      'the embedded stack of this folder does not run, and this command starts none',
      'Start it in another terminal: npx queue-worker stack, or with a worker: npx queue-worker dev',
    )
  }
  throw new SetupError(
    'no connection is configured',
    'Set SUPABASE_URL and SUPABASE_SECRET_KEY (Supabase: Settings > API Keys), or DATABASE_URL, in the environment or in ' +
      '.env; .env.example explains all settings. To try it without a database: npm run demo',
  )
}
