/** Supabase keys: tells a key that can run a worker from one that cannot, before the first request. */

/** What is wrong with a key, without repeating it; undefined when nothing is known to be wrong. */
export function keyProblem(key: string, nowMs: number): string | undefined {
  const secret =
    "allowed: the project's secret key (sb_secret_…) or its service_role key, from Settings > API Keys"
  if (/[\s"'`]/.test(key)) return `contains spaces, line breaks or quotes; ${secret}`
  if (key.startsWith('sb_publishable_')) return `is the publishable key, which may not use queues; ${secret}`
  const claims = jwtClaims(key)
  if (claims === undefined) return undefined
  const role = claims.role
  if (role === 'anon' || role === 'authenticated')
    return `is a key of the role ${role}, which may not use queues; ${secret}`
  const expires = claims.exp
  if (typeof expires === 'number' && expires * 1000 <= nowMs)
    return `expired on ${new Date(expires * 1000).toISOString()}; ${secret}`
  return undefined
}

/**
 * True for a token of a role of somebody's own, such as queue_worker. Supabase's gateway lets in its own keys alone: one of
 * those has to come along.
 */
export function needsGatewayKey(key: string): boolean {
  const role = jwtClaims(key)?.role
  return typeof role === 'string' && role !== 'service_role'
}

/** Whoever gives a role as few rights as it needs does not want a key of all rights beside it. */
export function gatewayKeyProblem(key: string): string | undefined {
  return key.startsWith('sb_secret_') || jwtClaims(key)?.role === 'service_role'
    ? 'is a secret key; allowed: the publishable key (sb_publishable_…), from Settings > API Keys'
    : undefined
}

/** True for what looks like no key at all; only worth a warning, as self-hosted gateways may use their own. */
export function keyLooksOdd(key: string): boolean {
  return !key.startsWith('sb_') && jwtClaims(key) === undefined
}

/** The claims of a JWT, unverified; undefined when the text is not a JWT. */
export function jwtClaims(token: string): Record<string, unknown> | undefined {
  const parts = token.split('.')
  const body = parts[1]
  if (parts.length !== 3 || body === undefined || !token.startsWith('eyJ')) return undefined
  try {
    const claims: unknown = JSON.parse(Buffer.from(body, 'base64url').toString('utf8'))
    return typeof claims === 'object' && claims !== null ? { ...claims } : undefined
  } catch {
    return undefined
  }
}
