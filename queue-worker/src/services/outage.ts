/** A server that messages are given to and that cannot be used now: the error for it, and its line in the log. */
import type { Logger } from 'pino'
import { type FailureKind, OutageError } from '../errors.ts'

/** The server cannot be used now; no message's fault, as every one would meet it. */
export class ServerOutageError extends OutageError {
  override readonly name: string = 'ServerOutageError'
  readonly kind: FailureKind
  /** What a person can do about it. */
  readonly remedy: string
  constructor(kind: FailureKind, what: string, remedy: string, options?: ErrorOptions) {
    super(`${what} ${remedy}`, options)
    this.kind = kind
    this.remedy = remedy
  }
}

export type OutageLog = {
  /** Notes a failure and gives it back. One that is no fault of the server ends nothing and starts nothing. */
  seen(failure: Error): Error
  over(): void
}

/**
 * Tells the log once when a server stops being usable, and once when it is again. `field` holds its address in the
 * log's lines, `name` is what people call it: `SMTP server`.
 */
export function outageLog(
  server: { readonly field: string; readonly name: string; readonly target: string },
  log?: Pick<Logger, 'info' | 'error'>,
): OutageLog {
  const { field, name, target } = server
  let current: FailureKind | null = null
  return {
    seen(failure) {
      if (failure instanceof ServerOutageError && failure.kind !== current) {
        current = failure.kind
        log?.error({ [field]: target, kind: failure.kind }, failure.message)
      }
      return failure
    },
    over() {
      if (current !== null) log?.info({ [field]: target }, `The ${name} ${target} can be used again.`)
      current = null
    },
  }
}
