/** `check`: reads the settings as a start would and shows what they come to; connects to nothing. */
import {
  type Config,
  type Environment,
  knownSecrets,
  loadConfig,
  queueOverrides,
  readEnvironment,
} from '../config.ts'
import { LOCAL_CHECKS } from '../doctor/checks/index.ts'
import { runChecks } from '../doctor/run.ts'
import { showFindings } from '../doctor/show.ts'
import { consumerSettings } from '../engine/settings.ts'
import { SetupError } from '../errors.ts'
import { configuredProcessors } from '../processors/configured.ts'
import type { Processor } from '../processors/define.ts'
import { createLogger } from '../utils/logger.ts'
import { describeRateLimit, type RateLimit } from '../utils/rate-limit.ts'
import { createRedactor } from '../utils/redact.ts'
import { EXIT, type ExitCode, type Io } from './io.ts'
import { openTransport } from './setup.ts'
import { mailVariables } from './stack-variables.ts'
import { table } from './table.ts'

/** In place of the embedded stack's mail server, which is known once the stack runs. */
const STACK_MAIL = { host: 'localhost', port: 54325, user: 'nobody', pass: 'nothing' }

export async function check(io: Io, options: { json?: boolean }): Promise<ExitCode> {
  try {
    return await describeSettings(io, options)
  } catch (error) {
    if (!options.json || !(error instanceof SetupError)) throw error
    const told = JSON.stringify({ ok: false, error: error.message, remedy: error.remedy })
    io.out(createRedactor(knownSecrets(io.cwd)).line(told))
    return EXIT.setup
  }
}

async function describeSettings(io: Io, options: { json?: boolean }): Promise<ExitCode> {
  const environment = readEnvironment(io.cwd)
  const given = loadConfig(environment)
  const usesStackMail = given.transport === 'embedded' && given.smtp.host === undefined
  const config = usesStackMail
    ? loadConfig({ ...environment, ...mailVariables(STACK_MAIL, environment) })
    : given
  const transport = config.transport === 'embedded' ? null : openTransport(config)
  const target = transport?.target ?? 'the embedded stack'
  await transport?.close()
  const processors = await configuredProcessors(
    config,
    createLogger({ level: 'silent', pretty: false, secrets: [] }),
  )
  const queues = processors.map((processor) => describeQueue(config, processor))
  for (const processor of processors) await processor.close?.()
  const files = await fileFindings(io.cwd, environment, config.secrets)
  const ok = files.every(({ severity }) => severity !== 'error')
  const code = ok ? EXIT.ok : EXIT.setup
  if (options.json) {
    const { transport: kind, warnings } = config
    io.out(JSON.stringify({ ok, transport: kind, target, queues, warnings, files }))
    return code
  }
  io.out(`connection   ${config.transport} to ${target}`)
  io.out(`worker       ${config.worker.workerId}`)
  if (usesStackMail) io.out(`mail         the mail server of the embedded stack, from ${config.smtp.from}`)
  else if (config.smtp.host !== undefined) {
    io.out(
      `mail         ${config.smtp.host}:${config.smtp.port} as ${config.smtp.user ?? 'nobody (no login)'}, from ${config.smtp.from}`,
    )
  }
  const broker = config.amqp.address
  if (broker !== undefined)
    io.out(`amqp         ${broker.host}:${broker.port} as ${broker.user}, vhost ${broker.vhost}`)
  io.out(
    `health       ${config.http.port === null ? 'off' : `http://${config.http.host}:${config.http.port}/health`}\n`,
  )
  const { sleep } = config
  if (sleep !== null)
    io.out(
      `sleep        after ${sleep.whenIdleSeconds} s without anything to do, until it is woken (${sleep.wokenBy})\n`,
    )
  const rows = queues.map((queue) => Object.values(queue).map(String))
  io.out(
    table(
      ['queue', 'at once', 'batch', 'hidden for', 'time limit', 'attempts', 'on success', 'rate limit'],
      rows,
      [1, 2, 3, 4, 5],
    ),
  )
  for (const warning of config.warnings) io.out(`\nwarning: ${warning}`)
  if (files.length > 0) io.out(`\n${showFindings(files)}`)
  const asked =
    'What they lead to (database, key, mail server, broker) was not asked: npx queue-worker doctor does.'
  io.out(`\nThe settings are in order. ${asked}`)
  return code
}

/** What the doctor finds without any connection, as far as somebody should do something about it. */
async function fileFindings(cwd: string, environment: Environment, secrets: readonly string[]) {
  const clean = createRedactor(secrets).text
  const examined = await runChecks(
    LOCAL_CHECKS,
    { cwd, environment },
    { fix: false, clean, isStopped: () => false },
  )
  const findings = examined.flatMap((one) => one.findings)
  return findings.filter(({ severity }) => severity === 'warning' || severity === 'error')
}

function describeQueue(config: Config, processor: Processor) {
  const { queue, backoff } = processor
  const settings = consumerSettings(processor, config.consumer, queueOverrides(config, queue, backoff))
  return {
    queue,
    concurrency: settings.concurrency,
    batchSize: settings.batchSize,
    visibilityTimeout: `${settings.visibilityTimeoutSeconds} s`,
    timeout: `${settings.timeoutMs / 1000} s`,
    maxAttempts: settings.maxAttempts,
    onSuccess: settings.onSuccess,
    rateLimit: describeLimit(settings.rateLimit),
  }
}

function describeLimit(limit: RateLimit | null | undefined): string {
  if (limit === undefined) return 'as in the database'
  return limit === null ? 'off' : describeRateLimit(limit)
}
