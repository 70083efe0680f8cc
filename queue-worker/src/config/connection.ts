/** Which transport is meant, and where it leads. */
import { isLoopback } from '../utils/loopback.ts'
import { PLACEHOLDER, parseDatabaseUrl } from './database-url.ts'
import type { Gathered, Problem } from './gather.ts'
import { gatewayKeyProblem, keyLooksOdd, keyProblem, needsGatewayKey } from './keys.ts'
import type { Values } from './settings.ts'

export type TransportName = 'rpc' | 'postgres' | 'embedded'

export type SupabaseAddress = {
  readonly url: string
  readonly key: string
  /** Goes along with a key that the gateway does not know. */
  readonly gatewayKey?: string
}

export type Connections = {
  /** Undefined: nothing is set; the command decides whether the embedded stack will do. */
  readonly transport: TransportName | undefined
  readonly supabase: SupabaseAddress | undefined
  readonly database: { readonly url: string } | undefined
  readonly problems: readonly Problem[]
  readonly warnings: readonly string[]
}

/** Reads SUPABASE_*, DATABASE_URL and PG* / DB_*, and picks the transport. `nowMs` is the wall clock. */
export function connections(gathered: Gathered, nowMs: number): Connections {
  const { values } = gathered
  const problems: Problem[] = []
  const warnings: string[] = []
  const nameOf = (name: keyof Values) => gathered.givenAs.get(name) ?? name
  const wrong = (name: string, text: string | undefined) => {
    if (text !== undefined) problems.push({ name, wrong: text })
  }

  const url = values.SUPABASE_URL === undefined ? undefined : readSupabaseUrl(values.SUPABASE_URL)
  wrong('SUPABASE_URL', url?.wrong)
  if (url?.plain) warnings.push('SUPABASE_URL is http:// on another host: the key travels unencrypted')

  const databaseUrl = values.DATABASE_URL ?? urlFromParts(values)
  const databaseName = values.DATABASE_URL === undefined ? nameOf('PGHOST') : 'DATABASE_URL'
  wrong(databaseName, databaseUrl === undefined ? undefined : databaseUrlProblem(databaseUrl))

  const transport =
    values.QUEUE_TRANSPORT ?? (url !== undefined ? 'rpc' : databaseUrl !== undefined ? 'postgres' : undefined)

  const key = values.SUPABASE_SECRET_KEY
  if (transport === 'rpc') {
    if (url === undefined)
      wrong('SUPABASE_URL', 'is missing; allowed: the address of the project, https://<ref>.supabase.co')
    if (key === undefined)
      wrong(
        'SUPABASE_SECRET_KEY',
        'is missing (or SUPABASE_SERVICE_ROLE_KEY); allowed: the secret key from Settings > API Keys',
      )
  }
  if (transport === 'postgres' && databaseUrl === undefined)
    wrong('DATABASE_URL', 'is missing; allowed: postgresql://user:password@host:5432/postgres')
  if (key !== undefined) {
    wrong(nameOf('SUPABASE_SECRET_KEY'), keyProblem(key, nowMs))
    if (keyLooksOdd(key))
      warnings.push(`${nameOf('SUPABASE_SECRET_KEY')} is neither an sb_secret_ key nor a JWT`)
    if (transport === undefined) warnings.push('a Supabase key is set, but SUPABASE_URL is not')
  }
  const gatewayKey = key !== undefined && needsGatewayKey(key) ? values.SUPABASE_PUBLISHABLE_KEY : undefined
  if (gatewayKey !== undefined) wrong(nameOf('SUPABASE_PUBLISHABLE_KEY'), gatewayKeyProblem(gatewayKey))
  if (transport === 'embedded' && values.NODE_ENV === 'production')
    warnings.push('QUEUE_TRANSPORT=embedded under NODE_ENV=production: the embedded stack is for trying out')

  return {
    transport,
    supabase:
      url?.base === undefined || key === undefined
        ? undefined
        : { url: url.base, key, ...(gatewayKey === undefined ? {} : { gatewayKey }) },
    database: databaseUrl === undefined ? undefined : { url: databaseUrl },
    problems,
    warnings,
  }
}

function readSupabaseUrl(text: string): { base?: string; wrong?: string; plain?: boolean } {
  const allowed = 'allowed: the address of the project, https://<ref>.supabase.co'
  if (/^postgres(ql)?:/i.test(text))
    return { wrong: `is a connection string of the database; put it into DATABASE_URL. ${allowed}` }
  if (!URL.canParse(text)) return { wrong: `is not a URL; ${allowed}` }
  const url = new URL(text)
  if (url.protocol !== 'https:' && url.protocol !== 'http:')
    return { wrong: `is not a web address; ${allowed}` }
  if (url.username !== '' || url.password !== '') return { wrong: `has a user or password in it; ${allowed}` }
  if (url.hostname === 'supabase.com' || url.hostname.endsWith('.supabase.com'))
    return { wrong: `is an address of the dashboard or the pooler, not of the project; ${allowed}` }
  const path = url.pathname.replace(/\/(rest\/v1)?\/*$/, '')
  const plain = url.protocol === 'http:' && !isLoopback(url.hostname)
  return { base: `${url.origin}${path}`, plain }
}

function databaseUrlProblem(text: string): string | undefined {
  const allowed = 'allowed: postgresql://user:password@host:5432/postgres'
  if (/^https?:/i.test(text)) return `is a web address; put it into SUPABASE_URL. ${allowed}`
  if (!/^postgres(ql)?:\/\//i.test(text)) return `does not begin with postgresql://; ${allowed}`
  if (PLACEHOLDER.test(text)) return `still has [YOUR-PASSWORD] in it; ${allowed}`
  return parseDatabaseUrl(text) === undefined
    ? `cannot be read; characters like @ : / # % in the password must be percent-encoded. ${allowed}`
    : undefined
}

function urlFromParts(values: Values): string | undefined {
  if (values.PGHOST === undefined) return undefined
  const socket = values.PGHOST.startsWith('/')
  const password = values.PGPASSWORD === undefined ? '' : `:${encodeURIComponent(values.PGPASSWORD)}`
  const host = socket ? 'localhost' : values.PGHOST.includes(':') ? `[${values.PGHOST}]` : values.PGHOST
  const query = new URLSearchParams()
  if (socket) query.set('host', values.PGHOST)
  if (values.PGSSLMODE !== undefined) query.set('sslmode', values.PGSSLMODE)
  const tail = query.size === 0 ? '' : `?${query}`
  const user = encodeURIComponent(values.PGUSER)
  return `postgresql://${user}${password}@${host}:${values.PGPORT}/${encodeURIComponent(values.PGDATABASE)}${tail}`
}
