/** Which role a request to the gateway gets: the decision Supabase's gateway makes, without the network. */
import type { Secrets } from './keys.ts'

export type Keys = Pick<Secrets, 'secretKey' | 'publishableKey' | 'serviceRoleKey' | 'anonKey'>

export type Credentials = {
  readonly apikey: string | undefined
  readonly authorization: string | undefined
  readonly userAgent: string | undefined
}

export type Decision =
  | { readonly authorization: string }
  | { readonly refusal: { readonly message: string; readonly hint: string } }

/**
 * The key in `apikey` opens the gate; a token of a user in `Authorization` then says who asks. The new keys are no
 * tokens: they are turned into their role's, also when they are repeated in `Authorization`.
 */
export function decide({ apikey, authorization, userAgent }: Credentials, keys: Keys): Decision {
  if (!apikey) {
    return refuse('No API key found in request', 'No `apikey` request header or url param was found.')
  }
  const token = tokenOf(apikey, keys)
  if (!token) {
    return refuse('Invalid API key', 'Double check your Supabase `anon` or `service_role` API key.')
  }
  if (apikey === keys.secretKey && userAgent?.startsWith('Mozilla/')) {
    return refuse('Forbidden use of secret API key in browser', 'Secret API keys belong on a server only.')
  }
  const bearer = /^Bearer\s+(.*)$/i.exec(authorization ?? '')?.[1]
  if (bearer === undefined || bearer === apikey) return { authorization: `Bearer ${token}` }
  if (bearer.startsWith('sb_')) {
    return refuse('Invalid API key', 'The key in `Authorization` is not the one in `apikey`.')
  }
  return { authorization: `Bearer ${bearer}` }
}

function tokenOf(apikey: string, keys: Keys): string | null {
  if (apikey === keys.secretKey || apikey === keys.serviceRoleKey) return keys.serviceRoleKey
  if (apikey === keys.publishableKey || apikey === keys.anonKey) return keys.anonKey
  return null
}

function refuse(message: string, hint: string): Decision {
  return { refusal: { message, hint } }
}
