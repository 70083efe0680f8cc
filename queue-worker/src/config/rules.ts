/** Rules between settings: each alone is fine, together they are not. */
import { amqpPasswordIsExposed } from './amqp-url.ts'
import { dashboardRules } from './dashboard.ts'
import type { Gathered, Problem } from './gather.ts'
import type { QueueOverride } from './overrides.ts'
import { paymentRules } from './payments.ts'
import { sleepRules } from './sleep.ts'

type Found = { readonly problems: readonly Problem[]; readonly warnings: readonly string[] }
type Queue = { readonly prefix: string; readonly override?: QueueOverride }

export function crossRules(gathered: Gathered, queues: readonly Queue[]): Found {
  const worker = { prefix: 'WORKER', override: {} }
  const rulesOf = [
    mailRules,
    callbackRules,
    brokerRules,
    reportRules,
    paymentRules,
    stopRules,
    sleepRules,
    dashboardRules,
    aliasRules,
  ]
  const found = rulesOf.map((rules) => rules(gathered))
  for (const queue of [worker, ...queues])
    found.push(leaseRules(gathered, queue), backoffRules(gathered, queue))
  return {
    problems: found.flatMap((one) => one.problems),
    warnings: found.flatMap((one) => one.warnings),
  }
}

function leaseRules({ values }: Gathered, { prefix, override = {} }: Queue): Found {
  const heartbeat = values.WORKER_HEARTBEAT_SECONDS
  if (heartbeat === undefined) return { problems: [], warnings: [] }
  if (prefix !== 'WORKER' && override.visibilityTimeoutSeconds === undefined)
    return { problems: [], warnings: [] }
  const timeout = override.visibilityTimeoutSeconds ?? values.WORKER_VISIBILITY_TIMEOUT_SECONDS
  const name = `${prefix}_VISIBILITY_TIMEOUT_SECONDS`
  if (heartbeat >= timeout) {
    const wrong = `is ${heartbeat}, not shorter than ${name} (${timeout}); allowed: at most a third of it, so that a late heartbeat does not lose messages`
    return { problems: [{ name: 'WORKER_HEARTBEAT_SECONDS', wrong }], warnings: [] }
  }
  if (heartbeat > timeout / 3) {
    const warning = `WORKER_HEARTBEAT_SECONDS (${heartbeat}) is more than a third of ${name} (${timeout}); a third is used`
    return { problems: [], warnings: [warning] }
  }
  return { problems: [], warnings: [] }
}

function backoffRules({ values }: Gathered, { prefix, override = {} }: Queue): Found {
  // A queue that raises only its base gets its maximum raised with it.
  if (prefix !== 'WORKER' && override.backoffMaxSeconds === undefined) return { problems: [], warnings: [] }
  const base = override.backoffBaseSeconds ?? values.WORKER_BACKOFF_BASE_SECONDS
  const max = override.backoffMaxSeconds ?? values.WORKER_BACKOFF_MAX_SECONDS
  if (max >= base) return { problems: [], warnings: [] }
  const wrong = `is ${max}, less than the first wait (${base}); allowed: at least ${prefix}_BACKOFF_BASE_SECONDS`
  return { problems: [{ name: `${prefix}_BACKOFF_MAX_SECONDS`, wrong }], warnings: [] }
}

function stopRules({ values }: Gathered): Found {
  const drainMs = values.WORKER_DRAIN_TIMEOUT_MS
  if (drainMs <= 28_000) return { problems: [], warnings: [] }
  const warning = `WORKER_DRAIN_TIMEOUT_MS is ${drainMs}: whatever supervises the worker must allow more than this before SIGKILL (Docker's default is 10 s)`
  return { problems: [], warnings: [warning] }
}

function mailRules({ values, givenAs }: Gathered): Found {
  const problems: Problem[] = []
  const warnings: string[] = []
  if (values.SMTP_USER !== undefined && values.SMTP_PASS === undefined)
    problems.push({ name: 'SMTP_PASS', wrong: 'is missing; allowed: the password that belongs to SMTP_USER' })
  if (values.SMTP_PASS !== undefined && values.SMTP_USER === undefined)
    problems.push({
      name: 'SMTP_USER',
      wrong: `is missing; allowed: the user that belongs to ${givenAs.get('SMTP_PASS')}`,
    })
  if (values.SMTP_SECURE === true && values.SMTP_PORT === 587)
    warnings.push('SMTP_SECURE is on with port 587, where servers expect STARTTLS; it belongs to port 465')
  if (values.SMTP_SECURE === false && values.SMTP_PORT === 465)
    warnings.push('SMTP_SECURE is off with port 465, where servers expect TLS from the start')
  if (values.SMTP_PASS !== undefined && values.SMTP_PASS.length < 4)
    warnings.push('the SMTP password is shorter than 4 characters, too short to be kept out of logs')
  return { problems, warnings }
}

function callbackRules({ values, givenAs }: Gathered): Found {
  // A team's own processor for that queue has no use for our settings, and signs as it likes.
  const isNamed = values.QUEUES?.includes('http_callbacks') === true && values.PROCESSORS === undefined
  const isOurs = isNamed || [...givenAs.keys()].some((name) => name.startsWith('HTTP_CALLBACKS_'))
  if (!isOurs || values.HTTP_CALLBACKS_SECRET !== undefined) return { problems: [], warnings: [] }
  const warning =
    'HTTP_CALLBACKS_SECRET is not set: callbacks are not signed, so that receivers cannot tell who sent them'
  return { problems: [], warnings: [warning] }
}

function brokerRules({ values }: Gathered): Found {
  const { AMQP_URL: address } = values
  const warnings: string[] = []
  if (address !== undefined && amqpPasswordIsExposed(address))
    warnings.push('AMQP_URL is amqp:// on another host: the password travels unencrypted')
  return { problems: [], warnings }
}

function reportRules({ values }: Gathered): Found {
  const problems: Problem[] = []
  if (values.REPORTS_BUCKET !== undefined && values.REPORTS_DIR !== undefined)
    problems.push({
      name: 'REPORTS_DIR',
      wrong: 'is set together with REPORTS_BUCKET; allowed: one of them, as a report is kept in one place',
    })
  if (
    values.REPORTS_BUCKET !== undefined &&
    (values.SUPABASE_URL === undefined || values.SUPABASE_SECRET_KEY === undefined)
  )
    problems.push({
      name: 'REPORTS_BUCKET',
      wrong:
        'is set without SUPABASE_URL and SUPABASE_SECRET_KEY; allowed: with both, or REPORTS_DIR instead',
    })
  return { problems, warnings: [] }
}

function aliasRules({ givenAs }: Gathered): Found {
  const parts = (['PGPORT', 'PGUSER', 'PGPASSWORD', 'PGDATABASE'] as const).flatMap((name) => {
    const source = givenAs.get(name)
    return source === undefined ? [] : [source]
  })
  const mixed = parts.filter((name) => name.startsWith('DB_') !== givenAs.get('PGHOST')?.startsWith('DB_'))
  if (!givenAs.has('PGHOST') || mixed.length === 0) return { problems: [], warnings: [] }
  const warning = `${givenAs.get('PGHOST')} is set together with ${mixed.join(', ')}: two families of names are mixed`
  return { problems: [], warnings: [warning] }
}
