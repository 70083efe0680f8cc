/** What a person does from the dashboard, and the record of it. Part of the contract; see docs/sql.md. */
import type { LetterFilter } from './operator.ts'

/** What a person may do. Nothing touches a message that is in flight. */
export type Action =
  | { readonly action: 'pause' | 'resume'; readonly queue: string }
  /** What is delayed, snoozed or waits out its backoff is due now. Without ids: those retrying, the soonest due first. */
  | {
      readonly action: 'retry_now'
      readonly queue: string
      readonly msgIds?: readonly string[] | undefined
      readonly limit?: number | undefined
      /** The audit's row of the first bite, for the next ones: what has failed since then is left alone. */
      readonly begunWith?: string | undefined
    }
  | (LetterFilter & {
      readonly action: 'redrive'
      readonly queue: string
      readonly limit?: number | undefined
      readonly forgetUncertain?: boolean | undefined
      readonly perSecond?: number | undefined
      /** The first one is delayed by this: so a pace holds over several bites. */
      readonly delaySeconds?: number | undefined
    })
  /** Into the archive of the dead-letter queue: it can be undone until that is pruned. */
  | (LetterFilter & {
      readonly action: 'discard'
      readonly queue: string
      readonly limit?: number | undefined
      readonly all?: boolean | undefined
    })
  | {
      readonly action: 'send'
      readonly queue: string
      readonly message: unknown
      readonly delaySeconds?: number | undefined
      readonly idempotencyKey?: string | undefined
    }
  /** Sends its message now, beside its times. */
  | { readonly action: 'run_schedule'; readonly name: string }
  | { readonly action: 'enable_schedule'; readonly name: string; readonly enabled: boolean }
  /** Pause, resume, enable_schedule and discard; send, and redrive that forgot nothing, as far as nobody has read the messages yet. */
  | { readonly action: 'undo'; readonly auditId: string }

export type Acted = {
  readonly auditId: string
  readonly count: number
  /** `afterId` to go on from, for what is done in bites; null: nothing is left. */
  readonly lastId: string | null
  /** New or affected messages, at most 1000. */
  readonly msgIds: readonly string[]
}

export type AuditRow = {
  readonly id: string
  readonly at: string
  readonly by: string
  readonly action: string
  readonly queue: string | null
  /** What was asked for, without payloads. */
  readonly target: Readonly<Record<string, unknown>>
  readonly count: number
  readonly undone: { readonly by: string; readonly at: string } | null
  readonly canUndo: boolean
}

export type AuditOptions = {
  /** The id of the last row of the page before. */
  readonly before?: string | null | undefined
  readonly queue?: string | undefined
  /** 50 if not given, at most 200. */
  readonly limit?: number | undefined
}
