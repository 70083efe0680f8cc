/** What the dashboard asks of the database, and what is answered. Part of the contract; see docs/sql.md. */
import type { Acted, Action, AuditOptions, AuditRow } from './actions.ts'
import type { ReportLine, ReportsOptions, SchedulePast } from './browse.ts'
import type { QueueOverview } from './operator.ts'
import type { Breaker } from './queue-state.ts'

export type { Acted, Action, AuditOptions, AuditRow } from './actions.ts'
export type { ReportLine, ReportsOptions, SchedulePast, TickRow } from './browse.ts'

/** What became of a queue's messages in one minute. `failed`: deliveries that are tried again. `sent` is null where it is not known. */
export type MinuteRow = {
  readonly minute: string
  readonly sent: number | null
  readonly succeeded: number
  readonly failed: number
  readonly dead: number
}

export type WorkerRow = {
  readonly workerId: string
  readonly instance: string
  readonly version: string
  readonly host: string
  readonly pid: number
  readonly queues: readonly string[]
  readonly inFlight: number
  readonly stopping: boolean
  /** It sends what schedules ask for. */
  readonly schedules: boolean
  readonly startedAt: string
  readonly seenAt: string
  /** It told of itself lately. */
  readonly alive: boolean
}

export type ScheduleRow = {
  readonly name: string
  readonly cron: string
  readonly timezone: string
  readonly queue: string
  readonly enabled: boolean
  readonly lastRunAt: string | null
  readonly lastMsgId: string | null
  /** What became of its last message, in the words of `schedules`. */
  readonly lastState: string | null
  readonly nextRunAt: string | null
  readonly lastError: string | null
}

export type QueueGlance = QueueOverview & {
  readonly breaker: (Breaker & { readonly until: string }) | null
  readonly minutes: readonly MinuteRow[]
}

export type Glance = {
  readonly now: string
  /** As in an overview, with estimates from 5,000 on; with the minutes of the last hour in which something happened, the oldest first. */
  readonly queues: readonly QueueGlance[]
  /** Seen within the last day, those alive first. */
  readonly workers: readonly WorkerRow[]
  readonly schedules: readonly ScheduleRow[]
}

export type MessageState = 'ready' | 'in_flight' | 'delayed' | 'retrying' | 'dead' | 'archived'

/** Which messages; all that is given must fit. */
export type MessagesOptions = {
  readonly state: MessageState
  /** 50 if not given, at most 200. */
  readonly limit?: number | undefined
  /** `next` of the page before. */
  readonly after?: string | null | undefined
  /** A field of the payload, compared as text; of dead letters, of the original's. */
  readonly search?: { readonly path: readonly string[]; readonly value: string } | undefined
  /** A part of the payload's text, in upper or lower case. */
  readonly text?: string | undefined
  /** A part of the error's text, in upper or lower case; for those retrying and dead. */
  readonly error?: string | undefined
  /** For dead ones. */
  readonly reason?: string | undefined
  /** `at` of a message is then or later; before then. */
  readonly since?: Date | undefined
  readonly before?: Date | undefined
}

export type MessageLine = {
  readonly msgId: string
  readonly enqueuedAt: string
  /** When it is or was due; when it died; when it was archived. */
  readonly at: string
  readonly deliveries: number
  readonly failures: number
  readonly error: string | null
  readonly reason: string | null
  readonly workerId: string | null
  /** The first 300 characters of the payload's JSON. */
  readonly preview: string
  /** Of all of it. */
  readonly bytes: number
}

/** A call looks at no more than 20,000 messages: with few that fit, a page may be short or empty and still have a next one. */
export type MessagePage = {
  readonly messages: readonly MessageLine[]
  /** Null: that was the last page. */
  readonly next: string | null
  readonly lookedAt: number
}

/** One step of a queue's past. Times are in milliseconds and per delivery; null where nothing ran, or is not known. */
export type HistoryPoint = {
  readonly at: string
  readonly sent: number | null
  readonly archived: number
  readonly deleted: number
  readonly retried: number
  readonly dead: number
  readonly released: number
  readonly snoozed: number
  readonly ranMs: number | null
  readonly ranMsMax: number | null
  readonly waitedMs: number | null
  readonly waitedMsMax: number | null
}

/** Errors that differ in nothing but numbers and what follows the first colon. */
export type ErrorGroup = {
  readonly error: string
  readonly count: number
  readonly lastAt: string
  readonly lastError: string
  readonly lastMsgId: string
  /** The last one's. */
  readonly outcome: string
}

export type Span = { readonly since: Date; readonly until: Date }

/** What a message led to: its report, its payments. */
export type Related = {
  readonly report: {
    readonly report: string
    readonly state: string
    readonly format: string
    readonly title: string | null
    readonly location: string | null
    readonly bytes: number | null
    readonly rows: number | null
    readonly finishedAt: string | null
    readonly error: string | null
  } | null
  readonly payments: readonly {
    readonly id: string
    readonly reference: string | null
    readonly status: string
    /** In units of the currency, as text: "12.50". */
    readonly amount: string
    readonly currency: string
    readonly updatedAt: string
  }[]
}

/** The dashboard's part of the queue. */
export type Dashboard = {
  /** All queues but the dead-letter queues, or those named; cheap at any depth. */
  glance(queues?: readonly string[]): Promise<Glance>
  messages(queue: string, options: MessagesOptions): Promise<MessagePage>
  /** At most 1000 points; steps in which nothing happened are left out. */
  history(queue: string, span: Span & { readonly stepSeconds: number }): Promise<HistoryPoint[]>
  /** At most 50, of the newest 10,000 outcomes, the most frequent first. */
  errorGroups(queue: string, span: Span): Promise<ErrorGroup[]>
  /** The action and its row in the audit commit together. `by` says who. */
  act(action: Action, by: string): Promise<Acted>
  /** The newest first. */
  audit(options: AuditOptions): Promise<AuditRow[]>
  related(originKey: string): Promise<Related>
  /** Null: there is none of that name. */
  schedulePast(name: string): Promise<SchedulePast | null>
  /** The newest first. */
  recentReports(options: ReportsOptions): Promise<ReportLine[]>
}
