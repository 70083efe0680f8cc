/** The processors that the settings ask for. Its default export is what the child process of suspects loads. */
import { fileURLToPath } from 'node:url'
import { type Config, loadConfig, readEnvironment } from '../config.ts'
import { SetupError } from '../errors.ts'
import { createLogger, type Logger } from '../utils/logger.ts'
import type { Processor } from './define.ts'
import { loadProcessors, processorModules } from './modules.ts'
import type { DatabaseCall } from './payments-store.ts'

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
  const { smtp, callbacks, amqp, reports, payments } = config
  const { host } = smtp
  const { address } = amqp
  // Loaded only where it is asked for: the libraries behind them take tens of megabytes.
  const asked: (false | Promise<Processor>)[] = [
    host !== undefined &&
      import('./email-configured.ts').then((own) => own.email(config, host, logger, emailQueue)),
    callbacks.isWanted &&
      import('./http-callbacks-configured.ts').then((own) =>
        own.httpCallbacks(config, `${prefix}http_callbacks`),
      ),
    address !== undefined &&
      import('./amqp-configured.ts').then((own) => own.amqp(config, address, logger, `${prefix}amqp`)),
    (reports.dir ?? reports.bucket) !== undefined &&
      import('./reports-configured.ts').then((own) => own.reports(config, `${prefix}reports`, emailQueue)),
    payments !== null &&
      import('./payments-configured.ts').then((own) =>
        own.payments(config, payments, `${prefix}payments`, database),
      ),
  ]
  const own = await Promise.all(asked.filter((one) => one !== false))
  const theirs =
    config.processors === undefined ? [] : await loadProcessors(await processorModules(config.processors))
  // A team's own processor for a queue replaces ours.
  const replaced = new Set(theirs.map((processor) => processor.queue))
  const all = [...own.filter((processor) => !replaced.has(processor.queue)), ...theirs]
  return chosen(all, config.queues)
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
