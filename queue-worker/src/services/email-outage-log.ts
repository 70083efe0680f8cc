/** Tells the log once when the SMTP server stops being usable, and once when it is again. */
import type { Logger } from 'pino'
import type { FailureKind } from '../errors.ts'
import { MailServerError } from './email-outage.ts'

export type OutageLog = {
  /** Notes a failure and gives it back. One that is no fault of the server ends nothing and starts nothing. */
  seen(failure: Error): Error
  over(): void
}

export function outageLog(target: string, log?: Pick<Logger, 'info' | 'error'>): OutageLog {
  let current: FailureKind | null = null
  return {
    seen(failure) {
      if (failure instanceof MailServerError && failure.kind !== current) {
        current = failure.kind
        log?.error({ smtp: target, kind: failure.kind }, failure.message)
      }
      return failure
    },
    over() {
      if (current !== null) log?.info({ smtp: target }, `The SMTP server ${target} can be used again.`)
      current = null
    },
  }
}
