/** The keys and passwords of one data folder: random, made once, in the forms Supabase gives them. */
import { createHmac, randomBytes } from 'node:crypto'

export type Secrets = {
  readonly adminPassword: string
  readonly databasePassword: string
  readonly authenticatorPassword: string
  readonly jwtSecret: string
  readonly secretKey: string
  readonly publishableKey: string
  readonly serviceRoleKey: string
  readonly anonKey: string
  readonly smtpPassword: string
}

const tenYearsSeconds = 10 * 365 * 24 * 3600

export function createSecrets(): Secrets {
  const jwtSecret = password()
  const issuedAt = Math.floor(Date.now() / 1000)
  const roleKey = (role: string) =>
    signJwt({ iss: 'queue-worker', role, iat: issuedAt, exp: issuedAt + tenYearsSeconds }, jwtSecret)
  return {
    adminPassword: password(),
    databasePassword: password(),
    authenticatorPassword: password(),
    jwtSecret,
    secretKey: `sb_secret_${keyTail()}`,
    publishableKey: `sb_publishable_${keyTail()}`,
    serviceRoleKey: roleKey('service_role'),
    anonKey: roleKey('anon'),
    smtpPassword: password(),
  }
}

/** A token signed with HS256, the way Supabase's legacy keys and users' tokens are. */
export function signJwt(claims: Readonly<Record<string, unknown>>, secret: string): string {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const content = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims)}`
  return `${content}.${createHmac('sha256', secret).update(content).digest('base64url')}`
}

/** Hexadecimal, so that it needs no quoting in a connection string. */
function password(): string {
  return randomBytes(24).toString('hex')
}

function keyTail(): string {
  return `${randomBytes(16).toString('base64url')}_${randomBytes(6).toString('base64url')}`
}
