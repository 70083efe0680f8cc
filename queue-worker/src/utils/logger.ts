/**
 * The logger, and the one place that knows pino. Every line is searched for secrets after it was put together,
 * so nothing can get around it; errors are written by the fields we know, since those of other libraries may
 * carry rows and parameters. Payloads are never given to it.
 */
import { createRequire } from 'node:module'
import { type Logger, pino } from 'pino'
import { createRedactor } from './redact.ts'

export type { Logger } from 'pino'

export type LoggerOptions = {
  readonly level: string
  /** For people at a terminal; falls back to JSON where pino-pretty is not installed. */
  readonly pretty: boolean
  /** Values that must not appear in any line. */
  readonly secrets: readonly string[]
  /** Where lines go; standard output when left out. */
  readonly destination?: { write(line: string): unknown }
}

/** One line of JSON for each event, or a readable one when `pretty`. */
export function createLogger(options: LoggerOptions): Logger {
  const redactor = createRedactor(options.secrets)
  const destination = options.destination ?? pino.destination({ fd: 1, sync: true })
  const target = options.pretty ? prettyStream(destination) : destination
  return pino(
    {
      level: options.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: plainError, error: plainError },
    },
    { write: (line: string) => target.write(redactor.line(line)) },
  )
}

type Sink = { write(line: string): unknown }

/** pino-pretty is optional and loaded only where it is wanted. */
function prettyStream(destination: Sink): Sink {
  const load = createRequire(import.meta.url)
  try {
    const pretty = load('pino-pretty') as {
      prettyFactory(options: object): (line: string) => string | undefined
    }
    const format = pretty.prettyFactory({
      colorize: process.stdout.isTTY === true,
      translateTime: 'SYS:HH:MM:ss.l',
    })
    return { write: (line) => destination.write(format(line) ?? '') }
  } catch {
    return destination
  }
}

const DEEPEST_CAUSE = 4

/** What of an error is worth a line: never the rows, parameters or answers that libraries hang onto it. */
function plainError(thrown: unknown, depth = 0): unknown {
  if (!(thrown instanceof Error)) return String(thrown)
  const { name, message, stack } = thrown
  const shown: Record<string, unknown> = { type: name, message, stack }
  for (const field of ['code', 'kind', 'remedy', 'status'] as const) {
    const value: unknown = Reflect.get(thrown, field)
    if (typeof value === 'string' || typeof value === 'number') shown[field] = value
  }
  if (thrown.cause !== undefined && depth < DEEPEST_CAUSE) shown.cause = plainError(thrown.cause, depth + 1)
  return shown
}
