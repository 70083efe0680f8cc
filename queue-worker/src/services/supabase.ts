/** The transport over HTTPS: supabase-js calls our functions through PostgREST. Its owner in this program. */
import { createClient } from '@supabase/supabase-js'
import type { Transport } from '../queue/contract.ts'
import { functionName } from './entry-point.ts'
import { classifyFailure, HttpAnswer } from './failures.ts'
import { preferIpv4, trustAuthorities } from './network.ts'
import { openFetch } from './own-fetch.ts'
import { plainAnswer, plainSettle } from './plain-settle.ts'

export type SupabaseOptions = {
  /** The project's address, without /rest/v1. */
  readonly url: string
  /** The secret key, or a JWT of service_role or queue_worker. */
  readonly key: string
  /** What the gateway is shown beside a JWT of queue_worker: it lets in the project's own keys alone. The publishable one will do. */
  readonly gatewayKey?: string | undefined
  /** PEM file with further authorities to trust; affects the whole process. */
  readonly caFile?: string | undefined
  /** From the first byte sent to the last received. Above the server's own limit (8 s), so that it decides. */
  readonly requestTimeoutMs?: number | undefined
  readonly preferIpv4?: boolean | undefined
}

/**
 * Makes no request yet.
 * @throws SetupError when the CA file cannot be used.
 */
export function connectSupabase(options: SupabaseOptions): Transport {
  if (options.preferIpv4) preferIpv4()
  if (options.caFile !== undefined) trustAuthorities(options.caFile)
  const { url, key, gatewayKey } = options
  const { origin, hostname, pathname } = new URL(url)
  const target = pathname === '/' ? origin : `${origin}${pathname}`
  const context = { transport: 'rpc', target, host: hostname, secrets: [key] } as const
  const closing = new AbortController()
  const own = openFetch()

  const client = createClient(url, gatewayKey ?? key, {
    // Answers with the key itself, so that no session, storage or lock of the auth client is in the way.
    accessToken: () => Promise.resolve(key),
    global: { fetch: jsonFetch(own.fetch, options.requestTimeoutMs ?? 30_000, closing.signal) },
  })

  return {
    kind: 'rpc',
    target,
    settings: { kind: 'rpc', url, key, gatewayKey, caFile: options.caFile, preferIpv4: options.preferIpv4 },
    async call(entryPoint, request) {
      try {
        const plain = plainSettle(entryPoint, request)
        const [name, args] = plain === null ? [entryPoint, { request }] : ['finish', plain]
        const { data } = await client.rpc(functionName(name), args).throwOnError()
        return plain === null ? data : plainAnswer(plain, data)
      } catch (error) {
        throw classifyFailure(error, context)
      }
    },
    async close() {
      closing.abort(Object.assign(new Error('the transport was closed'), { code: 'CONNECTION_ENDED' }))
      await own.close()
    },
  }
}

/** fetch with a time limit that throws an HttpAnswer for all that is not a JSON answer to a successful call. */
function jsonFetch(ask: typeof fetch, limitMs: number, closing: AbortSignal): typeof fetch {
  return async (input, init) => {
    const signal = AbortSignal.any([AbortSignal.timeout(limitMs), closing])
    // Redirects are not followed: an API has none, and the key must not travel to wherever they lead.
    const response = await ask(input, { ...init, signal, redirect: 'manual' })
    const type = response.headers.get('content-type') ?? ''
    if (response.ok && (response.status === 204 || /\bjson\b/.test(type))) return response
    throw new HttpAnswer(response.status, type, (await response.text()).slice(0, 10_000))
  }
}
