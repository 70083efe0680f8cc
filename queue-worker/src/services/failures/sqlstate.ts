/** Failures that PostgreSQL, a pooler or PostgREST report with a code of theirs. */
import { addressSetting, codeOf, type FailureContext, fieldOf, type Verdict } from './verdict.ts'

const CREATE_QUEUE = "A worker creates its queues when it starts; by hand: select pgmq.create('name')."

const MIGRATE =
  'Run `npx queue-worker migrate` (direct connection), or `npx queue-worker migrate --copy supabase/migrations` and push it with the Supabase CLI.'

/** Undefined when the error carries no code of these. Also used for the JSON errors of PostgREST. */
export function bySqlState(error: Error, context: FailureContext): Verdict | undefined {
  const code = codeOf(error)
  const said = error.message
  const hint = fieldOf(error, 'hint')
  switch (code) {
    case 'QW001':
      return fatal('old_migration', said, hint || MIGRATE)
    case 'QW002':
      return fatal('rejected', said, hint || 'The request itself is wrong; sending it again will not help.')
    case 'QW003':
      return fatal('missing_queue', said, hint || CREATE_QUEUE)
    case 'QW004':
      return fatal('rejected', said, hint || 'The payment is in a state in which this is impossible.')
    case '28P01':
    case '28000':
      return fatal('login', `the login was refused (${said})`, loginRemedy(context))
    case '3D000':
      return fatal(
        'login',
        `the database does not exist (${said})`,
        'Check the database name in DATABASE_URL.',
      )
    case 'PGRST202':
    case '42883':
    case '3F000':
      return fatal('missing_migration', `the functions of the queue worker are not there (${said})`, MIGRATE)
    case '42P01':
      return /queue_worker\./.test(said)
        ? fatal('missing_migration', `a table of the queue worker is not there (${said})`, MIGRATE)
        : fatal('missing_queue', `a queue does not exist (${said})`, CREATE_QUEUE)
    case '42501':
      return fatal(
        'forbidden',
        `this login or key may not use the queue functions (${said})`,
        grantRemedy(context),
      )
    case 'PGRST106':
      return fatal(
        'forbidden',
        'the schema public is not exposed by the API',
        'Expose the schema public in the settings of the Data API.',
      )
    case 'PGRST300':
    case 'PGRST301':
    case 'PGRST302':
    case 'PGRST303':
      return fatal('wrong_key', `the key was refused (${said})`, keyRemedy())
    case '57014':
      return transient(
        'timeout',
        'the server stopped the call at its time limit',
        'The database is busy, or something holds locks on the queue tables. It is tried again.',
      )
    case '53100':
      return exhausted('disk space', said, 'Free some of its disk, or enlarge it. It is tried again.')
    case '53200':
      return exhausted('memory', said, 'Lower its load or raise the compute size. It is tried again.')
    case '53300':
      return exhausted(
        'connection',
        said,
        `${fewerConnections(context)}, or raise max_connections, the connection limit of the role or database, or the compute size.`,
      )
    case '25006':
      return transient(
        'unavailable',
        'the database is read-only',
        'Its disk may be full, or this is a standby.',
      )
    default:
      return byPrefix(code, said, hint, context)
  }
}

function byPrefix(code: string, said: string, hint: string, context: FailureContext): Verdict | undefined {
  if (/^53/.test(code))
    return exhausted('resources', said, 'Its log may say which of its limits was reached. It is tried again.')
  if (code.startsWith('PGRST00'))
    return transient(
      'unavailable',
      `the API cannot reach its database now (${said})`,
      'The database starts or stops, or gives the API no connection because too many are open; its log says which. It is tried again.',
    )
  if (/^(57P0|58)/.test(code))
    return transient(
      'unavailable',
      `the server cannot answer now (${said})`,
      'It starts or stops, or its disk fails; its log may say more. It is tried again.',
    )
  if (/^08/.test(code))
    return transient('disconnected', `the connection failed (${said})`, 'It is tried again.')
  if (/^40|^55P03$/.test(code))
    return transient('unavailable', `another transaction was in the way (${said})`, 'It is tried again.')
  if (/^2[23]/.test(code))
    return fatal(
      'rejected',
      `the database refused the request (${said})`,
      hint || 'Sending it again will not help.',
    )
  // Supavisor and PgBouncer refuse a login with XX000 or 08P01 and say why in words.
  if (/tenant or user not found/i.test(said))
    return fatal('login', `the pooler does not know this user (${said})`, loginRemedy(context))
  if (/password authentication failed/i.test(said)) return fatal('login', said, loginRemedy(context))
  if (!/^(\d|F0|HV|P0|XX)[0-9A-Z]{3,4}$|^PGRST/.test(code)) return undefined
  const remedy = 'The database reports an error of its own; its log may say more.'
  // XX: an internal error of the server, or a pooler's way to say that anything went wrong behind it.
  return code.startsWith('XX')
    ? transient('unknown', `${said} (${code})`, remedy)
    : fatal('unknown', `${said} (${code})`, remedy)
}

function fewerConnections(context: FailureContext): string {
  return context.transport === 'rpc'
    ? 'It is the API that gets none: find out who holds them'
    : 'Lower DATABASE_POOL_SIZE or the number of workers'
}

function loginRemedy(context: FailureContext): string {
  const pooler = context.host.includes('pooler.supabase.com')
    ? ' On the pooler the user is postgres.<ref>, and the region in the host must be that of the project.'
    : ''
  return `Check user and password in ${addressSetting(context)} (special characters percent-encoded).${pooler}`
}

export function keyRemedy(): string {
  return 'Check SUPABASE_SECRET_KEY (or SUPABASE_SERVICE_ROLE_KEY): it must be the secret key of the same project as SUPABASE_URL (Settings > API Keys). A token of a role of your own needs SUPABASE_PUBLISHABLE_KEY beside it.'
}

function grantRemedy(context: FailureContext): string {
  return context.transport === 'rpc'
    ? `Use the secret (service_role) key, not the anon or publishable one. If it is the right one, the grants are missing. ${MIGRATE}`
    : 'Log in as the role that ran the migration, or run: grant queue_worker to <role>.'
}

function exhausted(what: string, said: string, remedy: string): Verdict {
  return transient('exhausted', `the server has no ${what} left (${said})`, remedy)
}

function fatal(kind: Verdict['kind'], what: string, remedy: string): Verdict {
  return { kind, what, remedy, transient: false }
}

function transient(kind: Verdict['kind'], what: string, remedy: string): Verdict {
  return { kind, what, remedy, transient: true }
}
