import type { FailureKind } from '../../errors.ts'

/** Where the call went; `host` without port, `secrets` are kept out of messages. */
export type FailureContext = {
  readonly transport: 'rpc' | 'postgres'
  readonly target: string
  readonly host: string
  readonly secrets?: readonly string[] | undefined
}

/** What an error means: `what` happened, as a clause after the target's name. */
export type Verdict = {
  readonly kind: FailureKind
  readonly what: string
  readonly remedy: string
  readonly transient: boolean
}

/** The setting that holds the address. */
export function addressSetting(context: FailureContext): string {
  return context.transport === 'rpc' ? 'SUPABASE_URL' : 'DATABASE_URL'
}

/** The code of a Node, postgres.js or PostgreSQL error. */
export function codeOf(error: Error): string {
  const code: unknown = Reflect.get(error, 'code')
  return typeof code === 'string' ? code : ''
}

/** A text field of an error, for example PostgreSQL's hint. */
export function fieldOf(error: Error, field: string): string {
  const value: unknown = Reflect.get(error, field)
  return typeof value === 'string' ? value.trim() : ''
}
