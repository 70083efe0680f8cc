/** The processors that the settings ask for. Its default export is what the child process of suspects loads. */
import { fileURLToPath } from 'node:url'
import { type Config, loadConfig, readEnvironment } from '../config.ts'
import { coerceError, SetupError } from '../errors.ts'
import { createPublisher } from '../services/amqp.ts'
import { createMailer } from '../services/email.ts'
import { createCallbackClient } from '../services/http.ts'
import { createTemplates, type Templates } from '../services/templates.ts'
import { createLogger, type Logger } from '../utils/logger.ts'
import { amqpProcessor } from './amqp.ts'
import type { Processor } from './define.ts'
import { emailProcessor } from './email.ts'
import { httpCallbacksProcessor } from './http-callbacks.ts'
import { loadProcessors, processorModules } from './modules.ts'
import { payments } from './payments-configured.ts'
import type { DatabaseCall } from './payments-store.ts'
import { reports } from './reports-configured.ts'

/** EMAIL_TEMPLATES_DIR when it is not set. */
export const DEFAULT_TEMPLATES = 'templates'

export type Surroundings = {
  /** Before the names of our queues, for a worker beside another that must not take its messages. Default: nothing. */
  readonly queuePrefix?: string
  /** The worker's own connection. */
  readonly database?: DatabaseCall
}

/** Ours, as far as their settings are there, and those of the PROCESSORS folder; of them, those in QUEUES. */
export async function configuredProcessors(
  config: Config,
  logger: Logger,
  { queuePrefix: prefix = '', database }: Surroundings = {},
): Promise<Processor[]> {
  const emailQueue = `${prefix}email_queue`
  const own: Processor[] = [
    ...(config.smtp.host === undefined ? [] : [await email(config, config.smtp.host, logger, emailQueue)]),
    ...(config.callbacks.isWanted ? [httpCallbacks(config, `${prefix}http_callbacks`)] : []),
    ...(config.amqp.address === undefined
      ? []
      : [amqp(config, config.amqp.address, logger, `${prefix}amqp`)]),
    ...((config.reports.dir ?? config.reports.bucket) === undefined
      ? []
      : [reports(config, `${prefix}reports`, emailQueue)]),
    ...(config.payments === null
      ? []
      : [await payments(config, config.payments, `${prefix}payments`, database)]),
  ]
  const theirs =
    config.processors === undefined ? [] : await loadProcessors(await processorModules(config.processors))
  // A team's own processor for a queue replaces ours.
  const replaced = new Set(theirs.map((processor) => processor.queue))
  const all = [...own.filter((processor) => !replaced.has(processor.queue)), ...theirs]
  return chosen(all, config.queues)
}

async function email(config: Config, host: string, logger: Logger, queue: string): Promise<Processor> {
  const { from } = config.smtp
  if (from === undefined) {
    throw new SetupError(
      'SMTP_FROM is not set',
      'Set SMTP_FROM to the address mail is sent from: SMTP_FROM="Acme <no-reply@acme.com>"',
    )
  }
  const templates = await checkedTemplates(config.email.templatesDir)
  const mailer = createMailer(
    { ...config.smtp, host, from, connectTimeoutMs: config.connection.connectTimeoutMs },
    logger,
  )
  return emailProcessor({ ...config.email, queue, mailer, templates })
}

function httpCallbacks({ callbacks }: Config, queue: string): Processor {
  return httpCallbacksProcessor({ ...callbacks, queue, client: createCallbackClient(callbacks) })
}

type Address = NonNullable<Config['amqp']['address']>

function amqp(config: Config, address: Address, logger: Logger, queue: string): Processor {
  const { connectTimeoutMs } = config.connection
  const publisher = createPublisher({ address, caFile: config.amqp.caFile, connectTimeoutMs }, logger)
  return amqpProcessor({ publisher, queue })
}

/** A folder that was asked for must be there; who needs no templates need not make the default one. */
async function checkedTemplates(folder: string): Promise<Templates> {
  const templates = createTemplates(folder)
  if (folder === DEFAULT_TEMPLATES) return templates
  await templates.list().catch((error: unknown) => {
    throw new SetupError(
      `EMAIL_TEMPLATES_DIR is set to a folder that cannot be used. ${coerceError(error).message}`,
      'Set EMAIL_TEMPLATES_DIR to the folder of the e-mail templates (a relative path starts where the worker is started), or unset it',
      { cause: error },
    )
  })
  return templates
}

/** What has to be set for each queue that has a processor of ours. */
const NEEDS: Readonly<Record<string, string>> = {
  email_queue: 'SMTP_HOST and SMTP_FROM',
  http_callbacks: 'HTTP_CALLBACKS_SECRET',
  amqp: 'AMQP_URL',
  payments: 'PAYMENTS_PROVIDER',
  reports: 'REPORTS_DIR (a folder) or REPORTS_BUCKET (of Supabase Storage)',
}
const OF_YOUR_OWN = 'put processors of your own into a folder and set PROCESSORS to it'

function chosen(processors: readonly Processor[], queues: readonly string[] | undefined): Processor[] {
  const known = processors.map((processor) => processor.queue)
  const missing = (queues ?? []).filter((queue) => !known.includes(queue))
  if (missing.length > 0) {
    const needs = missing.flatMap((queue) => (NEEDS[queue] ? [`set ${NEEDS[queue]} for ${queue}`] : []))
    throw new SetupError(
      `QUEUES names ${missing.join(', ')}, for which there is no processor (there is one for: ${known.join(', ') || 'none'})`,
      sentence(`${[...needs, OF_YOUR_OWN].join('; ')}; or take the queue out of QUEUES`),
    )
  }
  const wanted =
    queues === undefined ? [...processors] : processors.filter((one) => queues.includes(one.queue))
  if (wanted.length > 0) return wanted
  const each = Object.entries(NEEDS).map(([queue, needs]) => `set ${needs} for ${queue}`)
  throw new SetupError(
    'there is nothing to work on: no processor is configured',
    sentence(`${each.join('; ')}; or ${OF_YOUR_OWN}`),
  )
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}

/** This module's path, for the child process. */
export const configuredModule = fileURLToPath(import.meta.url)

export default async function load(): Promise<Processor[]> {
  const config = loadConfig(readEnvironment(process.cwd()))
  return configuredProcessors(
    config,
    createLogger({ level: config.logLevel, pretty: false, secrets: config.secrets }),
  )
}
