/**
 * Environment -> frozen settings. The only reader of `process.env` and of `.env`: `readEnvironment` gets the
 * variables, `loadConfig` makes settings of them. Everything else is given what it needs as arguments.
 */
import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import { callbackSettings } from './config/callbacks.ts'
import { connections } from './config/connection.ts'
import { dashboardSettings } from './config/dashboard.ts'
import { type Environment, gather } from './config/gather.ts'
import { overridePrefixes, queuePrefix, readOverride } from './config/overrides.ts'
import { paymentSettings } from './config/payments.ts'
import { setupError } from './config/problems.ts'
import { consumerDefaults } from './config/queue.ts'
import { crossRules } from './config/rules.ts'
import { secretsIn } from './config/secrets.ts'
import { sleepSettings } from './config/sleep.ts'
import type { Config } from './config/types.ts'
import { typoWarnings } from './config/typos.ts'
import { coerceError, SetupError } from './errors.ts'

export type { Environment } from './config/gather.ts'
export { archiveDays, queueOverrides } from './config/queue.ts'
export type { Config } from './config/types.ts'

/** Queues the product brings processors for. */
const OWN_QUEUES = ['email_queue', 'reports', 'payments', 'http_callbacks', 'amqp'] as const

const DELIMITERS = { comma: ',', semicolon: ';', tab: '\t' } as const

/**
 * Reads all settings, pure but for the host's name and, unless given, the clock.
 * @throws SetupError one that names everything missing or malformed.
 */
export function loadConfig(env: Environment, nowMs: number = Date.now()): Config {
  const gathered = gather(env)
  const { values } = gathered
  const reached = connections(gathered, nowMs)
  const overrides = Object.fromEntries(
    overridePrefixes(env).map((prefix) => [prefix, readOverride(env, prefix)]),
  )
  const queues = values.QUEUES ?? OWN_QUEUES
  const checked = [...new Set(queues.map(queuePrefix))].map((prefix) => ({ prefix, ...overrides[prefix] }))
  const rules = crossRules(gathered, checked)
  const problems = [
    ...gathered.problems,
    ...reached.problems,
    ...checked.flatMap((queue) => queue.problems ?? []),
    ...rules.problems,
  ]
  if (problems.length > 0) throw setupError(problems)

  return deepFreeze({
    production: values.NODE_ENV === 'production',
    transport: reached.transport,
    supabase: reached.supabase,
    database: reached.database,
    connection: {
      caFile: values.DATABASE_CA_FILE,
      poolSize: values.DATABASE_POOL_SIZE,
      connectTimeoutMs: values.CONNECT_TIMEOUT_MS,
      preferIpv4: values.PREFER_IPV4,
    },
    queues: values.QUEUES,
    processors: values.PROCESSORS,
    worker: {
      workerId: values.WORKER_ID ?? hostname(),
      pollIntervalMs: values.WORKER_POLL_INTERVAL_MS,
      heartbeatSeconds: values.WORKER_HEARTBEAT_SECONDS,
      drainTimeoutMs: values.WORKER_DRAIN_TIMEOUT_MS,
      giveUpSeconds: values.WORKER_GIVE_UP_SECONDS,
      readBytes: values.WORKER_READ_BYTES,
      notify: values.QUEUE_NOTIFY,
    },
    sleep: sleepSettings(values),
    scheduler: { isOn: values.SCHEDULER, pollMs: values.SCHEDULER_POLL_SECONDS * 1000 },
    consumer: consumerDefaults(values),
    overrides,
    retention: { days: values.RETENTION_DAYS, archiveDays: values.WORKER_ARCHIVE_RETENTION_DAYS },
    smtp: {
      host: values.SMTP_HOST,
      port: values.SMTP_PORT,
      user: values.SMTP_USER,
      pass: values.SMTP_PASS,
      from: values.SMTP_FROM,
      secure: values.SMTP_SECURE,
      requireTls: values.SMTP_REQUIRE_TLS,
      caFile: values.SMTP_CA_FILE,
      poolSize: values.SMTP_POOL_SIZE,
    },
    email: {
      templatesDir: values.EMAIL_TEMPLATES_DIR,
      maxAttachmentBytes: values.EMAIL_MAX_ATTACHMENT_BYTES,
      whenUncertain: values.EMAIL_WHEN_UNCERTAIN,
    },
    callbacks: callbackSettings(gathered, overrides),
    amqp: { address: values.AMQP_URL, caFile: values.AMQP_CA_FILE },
    reports: {
      dir: values.REPORTS_DIR,
      bucket: values.REPORTS_BUCKET,
      timeZone: values.REPORTS_TIME_ZONE,
      statementTimeoutMs: values.REPORTS_STATEMENT_TIMEOUT_MS,
      csv: { bom: values.REPORTS_CSV_BOM, delimiter: DELIMITERS[values.REPORTS_CSV_DELIMITER] },
      // A mail with more than the e-mail queue takes would be a dead letter.
      attachBytes: Math.min(values.REPORTS_ATTACH_BYTES, values.EMAIL_MAX_ATTACHMENT_BYTES),
      linkSeconds: values.REPORTS_LINK_SECONDS,
      fontFile: values.REPORTS_FONT_FILE,
    },
    payments: paymentSettings(gathered),
    http: {
      host: values.HOST,
      port: values.PORT,
      adminTokens: values.ADMIN_TOKEN ?? [],
      wakeTokens: values.WORKER_WAKE_TOKEN ?? [],
    },
    dashboard: dashboardSettings(values),
    logLevel: values.LOG_LEVEL,
    warnings: [...reached.warnings, ...rules.warnings, ...typoWarnings(env, [...queues, ...OWN_QUEUES])],
    secrets: secretsIn(env, values, reached.database?.url),
  })
}

/**
 * Every secret in the settings of `cwd`, also when they cannot be used: for whatever tells of an error. Never throws.
 */
export function knownSecrets(cwd: string, processEnv: Environment = process.env): readonly string[] {
  const inProcess = secretsOf(processEnv)
  try {
    return [...inProcess, ...secretsOf(readEnvironment(cwd, processEnv))]
  } catch {
    return inProcess
  }
}

function secretsOf(env: Environment): string[] {
  const gathered = gather(env)
  return secretsIn(env, gathered.values, connections(gathered, 0).database?.url)
}

/** The variables of the process over those of `.env` in `cwd`; a file that is not there is fine. */
export function readEnvironment(cwd: string, processEnv: Environment = process.env): Environment {
  const path = join(cwd, '.env')
  let bytes: Buffer
  try {
    bytes = readFileSync(path)
  } catch (thrown) {
    const error: NodeJS.ErrnoException = coerceError(thrown)
    if (error.code === 'ENOENT') return { ...processEnv }
    throw new SetupError(
      `.env cannot be read (${error.code})`,
      `Let the user of this process read ${path}, or remove it.`,
      { cause: error },
    )
  }
  if (bytes[0] === 0xff || bytes[0] === 0xfe)
    throw new SetupError('.env is saved as UTF-16.', `Save ${path} as UTF-8.`)
  const text = bytes.toString('utf8').replace(/^\uFEFF/, '')
  return { ...parseEnv(text), ...processEnv }
}

function deepFreeze<T extends object>(object: T): T {
  for (const value of Object.values(object))
    if (typeof value === 'object' && value !== null) deepFreeze(value)
  return Object.freeze(object)
}
