/** What the embedded stack means for the settings. Pure. */
import { createHmac } from 'node:crypto'
import { join } from 'node:path'
import { given } from '../config/gather.ts'
import { splitOverride } from '../config/overrides.ts'
import { KNOWN_NAMES } from '../config/settings.ts'
import type { Environment } from '../config.ts'
import type { Stack } from '../embedded/stack.ts'

/** The stack as a project would be configured: over its API, mail through its mail server. */
export function connectionVariables(stack: Stack, environment: Environment): Environment {
  return {
    QUEUE_TRANSPORT: 'rpc',
    SUPABASE_URL: stack.url,
    SUPABASE_SECRET_KEY: stack.secretKey,
    DATABASE_URL: stack.databaseUrl,
    ...mailVariables(stack.smtp, environment),
  }
}

/** The stack's mail server as variables; none where another mail server is configured. */
export function mailVariables(smtp: Stack['smtp'], environment: Environment): Environment {
  if (given(environment, 'SMTP_HOST') !== undefined) return {}
  const from = given(environment, 'SMTP_FROM') ?? given(environment, 'FROM_EMAIL')
  return {
    SMTP_HOST: smtp.host,
    SMTP_PORT: String(smtp.port),
    SMTP_USER: smtp.user,
    SMTP_PASS: smtp.pass,
    SMTP_FROM: from ?? 'Queue Worker <worker@example.com>',
  }
}

/**
 * What turns on the other queues where nothing is said about them: files into the stack's folder, payments with play money,
 * callbacks that may reach programs on this machine, which nobody else's messages can here.
 */
export function allQueuesVariables(stack: Stack, directory: string, environment: Environment): Environment {
  const isMissing = (name: string) => given(environment, name) === undefined
  const variables = {
    ...(isMissing('REPORTS_BUCKET') ? { REPORTS_DIR: join(directory, 'reports') } : {}),
    PAYMENTS_PROVIDER: 'sandbox',
    HTTP_CALLBACKS_SECRET: callbackSecret(stack),
    HTTP_CALLBACKS_ALLOW_PRIVATE: 'localhost,127.0.0.1,::1',
  }
  return Object.fromEntries(Object.entries(variables).filter(([name]) => isMissing(name)))
}

/** From start to start the same, so that a receiver can be told. */
export function callbackSecret({ secretKey }: Pick<Stack, 'secretKey'>): string {
  return `whsec_${createHmac('sha256', secretKey).update('http_callbacks').digest('base64')}`
}

/** A broker receives what it is sent to a queue of the demo's own, and no more: that one may be the project's. */
const KEPT = ['AMQP_URL', 'AMQP_CA_FILE']

/** Without our settings: nothing then leads to a real project, a real mail server or real money, or changes what is shown. */
export function withoutSettings(environment: Environment): Environment {
  const isSetting = (name: string) => KNOWN_NAMES.includes(name) || splitOverride(name) !== undefined
  return Object.fromEntries(
    Object.entries(environment).filter(
      ([name]) => KEPT.includes(name) || !(isSetting(name) || name.startsWith('WORKER_')),
    ),
  )
}
