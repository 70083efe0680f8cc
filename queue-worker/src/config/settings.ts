/** Every setting of this release by its variable: what it accepts, its default as text, its other names. */
import { z } from 'zod'
import { choice, decimal, flag, integer, mailbox, portOrOff, queueNames, text } from './fields.ts'

const DAY_SECONDS = 86_400

/** The kinds of the settings that a queue may have of its own, by the end of their name. */
export const QUEUE_FIELDS = {
  CONCURRENCY: integer(1, 1000),
  BATCH_SIZE: integer(1, 500),
  VISIBILITY_TIMEOUT_SECONDS: integer(1, DAY_SECONDS / 2),
  TIMEOUT: integer(1, 7 * DAY_SECONDS * 1000),
  MAX_ATTEMPTS: integer(1, 1000),
  MAX_INTERRUPTIONS: integer(1, 1000),
  BACKOFF_BASE_SECONDS: decimal(0, DAY_SECONDS),
  BACKOFF_MAX_SECONDS: decimal(0, 30 * DAY_SECONDS),
  ON_SUCCESS: choice(['archive', 'delete']),
}

export const SETTINGS = z.object({
  NODE_ENV: text().optional(),
  QUEUE_TRANSPORT: choice(['rpc', 'postgres', 'embedded']).optional(),
  SUPABASE_URL: text().optional(),
  SUPABASE_SECRET_KEY: text().optional(),
  DATABASE_URL: text().optional(),
  PGHOST: text().optional(),
  PGPORT: integer(1, 65535),
  PGUSER: text(),
  PGPASSWORD: text({ exact: true }).optional(),
  PGDATABASE: text(),
  PGSSLMODE: text().optional(),
  DATABASE_CA_FILE: text().optional(),
  DATABASE_POOL_SIZE: integer(1, 100),
  PREFER_IPV4: flag(),
  CONNECT_TIMEOUT_MS: integer(100, 600_000),
  QUEUES: queueNames().optional(),
  PROCESSORS: text().optional(),
  QUEUE_NOTIFY: flag(),
  WORKER_ID: text().optional(),
  WORKER_CONCURRENCY: QUEUE_FIELDS.CONCURRENCY,
  WORKER_BATCH_SIZE: QUEUE_FIELDS.BATCH_SIZE,
  WORKER_POLL_INTERVAL_MS: integer(50, 3_600_000),
  WORKER_TIMEOUT: QUEUE_FIELDS.TIMEOUT,
  WORKER_VISIBILITY_TIMEOUT_SECONDS: QUEUE_FIELDS.VISIBILITY_TIMEOUT_SECONDS,
  WORKER_HEARTBEAT_SECONDS: decimal(0.1, DAY_SECONDS / 2).optional(),
  WORKER_MAX_ATTEMPTS: QUEUE_FIELDS.MAX_ATTEMPTS,
  WORKER_MAX_INTERRUPTIONS: QUEUE_FIELDS.MAX_INTERRUPTIONS,
  WORKER_BACKOFF_BASE_SECONDS: QUEUE_FIELDS.BACKOFF_BASE_SECONDS,
  WORKER_BACKOFF_MAX_SECONDS: QUEUE_FIELDS.BACKOFF_MAX_SECONDS,
  WORKER_ON_SUCCESS: QUEUE_FIELDS.ON_SUCCESS,
  WORKER_DRAIN_TIMEOUT_MS: integer(0, 3_600_000),
  WORKER_GIVE_UP_SECONDS: integer(1, 7 * DAY_SECONDS),
  WORKER_READ_BYTES: integer(65_536, 268_435_456),
  SMTP_HOST: text().optional(),
  SMTP_PORT: integer(1, 65535),
  SMTP_USER: text().optional(),
  SMTP_PASS: text({ exact: true }).optional(),
  SMTP_FROM: mailbox().optional(),
  SMTP_SECURE: flag().optional(),
  SMTP_REQUIRE_TLS: flag().optional(),
  SMTP_CA_FILE: text().optional(),
  SMTP_POOL_SIZE: integer(1, 100),
  EMAIL_TEMPLATES_DIR: text(),
  EMAIL_MAX_ATTACHMENT_BYTES: integer(0, 104_857_600),
  EMAIL_WHEN_UNCERTAIN: choice(['resend', 'hold']),
  PAYMENTS_PROVIDER: choice(['sandbox', 'stripe', 'yookassa']).optional(),
  STRIPE_SECRET_KEY: text().optional(),
  STRIPE_WEBHOOK_SECRET: text().optional(),
  STRIPE_API_URL: text(),
  YOOKASSA_SHOP_ID: text().optional(),
  YOOKASSA_SECRET_KEY: text().optional(),
  YOOKASSA_API_URL: text(),
  HOST: text(),
  PORT: portOrOff(),
  LOG_LEVEL: choice(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']),
})

export type SettingName = keyof typeof SETTINGS.shape
export type Values = z.output<typeof SETTINGS>

/** Defaults as they would be written in `.env`, so that `.env.example` can be checked against them. */
export const DEFAULTS: Partial<Record<SettingName, string>> = {
  PGPORT: '5432',
  PGUSER: 'postgres',
  PGDATABASE: 'postgres',
  DATABASE_POOL_SIZE: '4',
  PREFER_IPV4: 'off',
  CONNECT_TIMEOUT_MS: '30000',
  QUEUE_NOTIFY: 'on',
  WORKER_CONCURRENCY: '10',
  WORKER_BATCH_SIZE: '100',
  WORKER_POLL_INTERVAL_MS: '5000',
  WORKER_TIMEOUT: '300000',
  WORKER_VISIBILITY_TIMEOUT_SECONDS: '30',
  WORKER_MAX_ATTEMPTS: '5',
  WORKER_MAX_INTERRUPTIONS: '20',
  WORKER_BACKOFF_BASE_SECONDS: '2',
  WORKER_BACKOFF_MAX_SECONDS: '900',
  WORKER_ON_SUCCESS: 'archive',
  WORKER_DRAIN_TIMEOUT_MS: '25000',
  WORKER_GIVE_UP_SECONDS: '900',
  WORKER_READ_BYTES: '8388608',
  SMTP_PORT: '587',
  SMTP_POOL_SIZE: '5',
  EMAIL_TEMPLATES_DIR: 'templates',
  EMAIL_MAX_ATTACHMENT_BYTES: '10485760',
  EMAIL_WHEN_UNCERTAIN: 'resend',
  STRIPE_API_URL: 'https://api.stripe.com',
  YOOKASSA_API_URL: 'https://api.yookassa.ru/v3',
  HOST: '127.0.0.1',
  PORT: '8080',
  LOG_LEVEL: 'info',
}

/** Other names of a setting, in the order they are tried after its own. */
export const ALIASES: Partial<Record<SettingName, readonly string[]>> = {
  SUPABASE_SECRET_KEY: ['SUPABASE_SERVICE_ROLE_KEY'],
  PGHOST: ['DB_HOST'],
  PGPORT: ['DB_PORT'],
  PGUSER: ['DB_USER'],
  PGPASSWORD: ['DB_PASSWORD'],
  PGDATABASE: ['DB_NAME'],
  PGSSLMODE: ['DB_SSLMODE'],
  SMTP_PASS: ['SMTP_PASSWORD'],
  SMTP_FROM: ['FROM_EMAIL'],
}

export const SETTING_NAMES = Object.keys(SETTINGS.shape) as SettingName[]
export const KNOWN_NAMES: readonly string[] = [...SETTING_NAMES, ...Object.values(ALIASES).flat()]
