/** The two real transports to a stack, and one whose answers get lost. */
import { ConnectionFailure } from '../../src/errors.ts'
import type { Transport } from '../../src/queue/contract.ts'
import { connectPostgres } from '../../src/services/postgres.ts'
import { connectSupabase } from '../../src/services/supabase.ts'
import type { SharedStack } from './global-stack.ts'

export function openTransport(kind: Transport['kind'], stack: SharedStack): Transport {
  return kind === 'rpc'
    ? connectSupabase({ url: stack.url, key: stack.secretKey })
    : connectPostgres({ url: stack.databaseUrl })
}

/**
 * The server does its work, but the first answer to each request is lost on the way back. `lost` counts them.
 * Closing it does not close the transport behind it.
 */
export function losingAnswers(transport: Transport): Transport & { readonly lost: string[] } {
  const asked = new Set<string>()
  const lost: string[] = []
  return {
    kind: transport.kind,
    target: transport.target,
    settings: transport.settings,
    lost,
    async call(entryPoint, request) {
      const answer = await transport.call(entryPoint, request)
      const key = `${entryPoint} ${JSON.stringify(request)}`
      if (asked.has(key)) return answer
      asked.add(key)
      lost.push(entryPoint)
      throw new ConnectionFailure('disconnected', 'the answer was lost', 'None: a test did it.', true)
    },
    async close() {},
  }
}
