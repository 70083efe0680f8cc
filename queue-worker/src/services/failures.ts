/**
 * Foreign errors of a call to the database -> ConnectionFailure: what went wrong, whether waiting may mend it,
 * and what to do. Pure. The tables are in `failures/`; this file picks the one that knows the error.
 */
import { ConnectionFailure, coerceError } from '../errors.ts'
import { createRedactor } from '../utils/redact.ts'
import { byHttp, HttpAnswer } from './failures/http.ts'
import { byNetwork } from './failures/network.ts'
import { bySqlState } from './failures/sqlstate.ts'
import type { FailureContext, Verdict } from './failures/verdict.ts'

export { HttpAnswer } from './failures/http.ts'
export type { FailureContext } from './failures/verdict.ts'

/** Never throws. The message names the target and holds no secret; the original error is its `cause`. */
export function classifyFailure(thrown: unknown, context: FailureContext): ConnectionFailure {
  if (thrown instanceof ConnectionFailure) return thrown
  const error = coerceError(thrown)
  const { kind, what, remedy, transient } = judge(error, context)
  const clean = createRedactor(context.secrets ?? []).text
  const message = withoutSecrets(clean(`${context.target}: ${what}`))
  return new ConnectionFailure(kind, message, withoutSecrets(clean(remedy)), transient, { cause: error })
}

function judge(error: Error, context: FailureContext): Verdict {
  for (const candidate of chain(error)) {
    if (candidate instanceof HttpAnswer) return byHttp(candidate, context)
    const verdict = byNetwork(candidate, context) ?? bySqlState(candidate, context)
    if (verdict !== undefined) return verdict
  }
  return {
    kind: 'unknown',
    what: chain(error).map(describe).filter(isNew).join(': '),
    remedy: 'This failure is not known to the worker. If it stays, report it together with this message.',
    transient: true,
  }
}

/** The error, its causes and the errors it bundles (one for each address tried), outermost first. */
function chain(error: Error): Error[] {
  const found: Error[] = []
  const pending: unknown[] = [error]
  while (pending.length > 0 && found.length < 12) {
    const next = pending.shift()
    if (!(next instanceof Error) || found.includes(next)) continue
    found.push(next)
    pending.push(next.cause, ...(next instanceof AggregateError ? next.errors : []))
  }
  return found
}

function describe(error: Error): string {
  return error.message === '' ? error.name : error.message
}

function isNew(text: string, index: number, all: readonly string[]): boolean {
  return all.indexOf(text) === index
}

/** Catches what looks like a secret though nobody declared it: keys, tokens and passwords within URLs. */
export function withoutSecrets(text: string): string {
  return text
    .replace(/([a-z][a-z0-9+.-]*:\/\/[^\s:/@]*):[^\s/@]*@/gi, '$1:[redacted]@')
    .replace(/sb_(secret|publishable)_[A-Za-z0-9_-]+/g, 'sb_$1_[redacted]')
    .replace(/eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*/g, '[redacted]')
}
