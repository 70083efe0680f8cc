/** A connection string, read our way: what postgres.js makes of sslmode would not verify certificates. */
import { parseDatabaseUrl } from '../../config/database-url.ts'
import { SetupError } from '../../errors.ts'
import { isLoopback } from '../../utils/loopback.ts'

/**
 * off: plain text. verify: TLS, the certificate must be trusted and for this host. verify-ca: TLS, trusted, for
 * any host.
 */
export type TlsMode = 'off' | 'verify' | 'verify-ca'

export type Address = {
  readonly host: string
  readonly port: number
  /** The socket's file, when the database is reached through one. */
  readonly socketPath: string | undefined
  readonly user: string
  readonly password: string
  readonly database: string
  readonly tls: TlsMode
  readonly rootCertFile: string | undefined
  /** A pooler that gives each transaction another session: no prepared statements, no LISTEN. */
  readonly transactionPooler: boolean
  /** A pooler of any kind, which may refuse settings sent at login. */
  readonly pooler: boolean
}

/**
 * `postgresql://user:password@host:port/database?sslmode=…`; a socket as `?host=/folder` or `%2Ffolder` in place
 * of the host.
 * @throws SetupError that says what is wrong, without the string itself.
 */
export function readAddress(text: string): Address {
  const url = parse(text)
  const query = url.searchParams
  const host = query.get('host') ?? decodeURIComponent(url.hostname).replace(/^\[(.*)\]$/, '$1')
  const port = Number(url.port || query.get('port') || 5432)
  const folder = host.startsWith('/') ? host.replace(/\/+$/, '') : undefined
  const user = decodeURIComponent(url.username) || query.get('user') || 'postgres'
  const transactionPooler = port === 6543 || query.get('pgbouncer') === 'true'
  const rootCertFile = query.get('sslrootcert') ?? undefined
  return {
    host: host || 'localhost',
    port,
    socketPath: folder === undefined ? undefined : `${folder}/.s.PGSQL.${port}`,
    user,
    password: decodeURIComponent(url.password) || (query.get('password') ?? ''),
    database: decodeURIComponent(url.pathname.slice(1)) || query.get('dbname') || user,
    tls: folder === undefined ? tlsMode(query.get('sslmode'), host || 'localhost') : 'off',
    rootCertFile: rootCertFile === 'system' ? undefined : rootCertFile,
    transactionPooler,
    pooler: transactionPooler || /pooler/.test(host),
  }
}

function tlsMode(sslmode: string | null, host: string): TlsMode {
  switch (sslmode) {
    case 'disable':
      return 'off'
    // Libpq would give up verification here. We only give up TLS, and only towards this machine.
    case null:
    case 'allow':
    case 'prefer':
      return isLoopback(host) ? 'off' : 'verify'
    case 'require':
    case 'verify-full':
      return 'verify'
    case 'verify-ca':
      return 'verify-ca'
    default:
      throw new SetupError(
        'sslmode in DATABASE_URL is not known.',
        'Allowed: disable, allow, prefer, require, verify-ca, verify-full. Certificates are always verified; for a private CA set DATABASE_CA_FILE.',
      )
  }
}

function parse(text: string): URL {
  const url = parseDatabaseUrl(text)
  if (url !== undefined) return url
  throw new SetupError(
    'DATABASE_URL cannot be read.',
    'It must be postgresql://user:password@host:5432/database, with characters like @ : / # % in the password percent-encoded.',
  )
}
