/** What a command knows of the world around it. */
import { ConnectionFailure, coerceError, SetupError } from '../errors.ts'
import { createRedactor } from '../utils/redact.ts'

export type Io = {
  readonly cwd: string
  readonly isTerminal: boolean
  out(text: string): void
  err(text: string): void
  /** Registers what SIGINT and SIGTERM call, each time they come. */
  onStop(stop: () => void): void
  /** Asks the person at the terminal; missing where there is none. */
  readonly ask?: (question: string) => Promise<string>
}

/** What the process ends with; documented in the README. */
export const EXIT = {
  ok: 0,
  /** It was tried and failed: the database went away for good, a message could not be sent. */
  failed: 1,
  /** The command line makes no sense. */
  usage: 2,
  /** A person must mend something first: settings, key, migration. */
  setup: 3,
} as const

export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

/** What was typed makes no sense; the message says how to type it. */
export class UsageError extends Error {
  override readonly name: string = 'UsageError'
}

/** Says what went wrong and what to do about it, without the secrets, and gives the exit code that fits. */
export function reportError(thrown: unknown, io: Pick<Io, 'err'>, secrets: readonly string[] = []): ExitCode {
  const error = coerceError(thrown)
  const redactor = createRedactor(secrets)
  const say = (text: string) => io.err(redactor.text(text))
  if (error instanceof SetupError || error instanceof ConnectionFailure) {
    say(`error: ${error.message}\n\nWhat to do: ${error.remedy}`)
    return error instanceof ConnectionFailure && error.transient ? EXIT.failed : EXIT.setup
  }
  if (error instanceof UsageError) {
    say(`error: ${error.message}\n(--help tells more)`)
    return EXIT.usage
  }
  say(`error: ${error.stack ?? error.message}`)
  return EXIT.failed
}
