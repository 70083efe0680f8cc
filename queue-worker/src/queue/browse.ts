/** What a dashboard lists beside queues: the past of a schedule, the reports that were asked for. Part of the contract; see docs/sql.md. */

/** A run of a schedule that was sent, and what became of its message, in the words of `schedules`. */
export type TickRow = {
  readonly runAt: string
  readonly sentAt: string
  readonly queue: string
  readonly msgId: string
  readonly state: string
}

export type SchedulePast = {
  readonly now: string
  readonly name: string
  readonly cron: string
  readonly timezone: string
  readonly queue: string
  readonly message: unknown
  readonly enabled: boolean
  readonly missed: string
  readonly createdAt: string
  readonly nextRunAt: string | null
  readonly lastError: string | null
  /** The newest first. */
  readonly ticks: readonly TickRow[]
}

export type ReportLine = {
  readonly originKey: string
  readonly report: string
  readonly title: string | null
  readonly format: string
  readonly state: string
  readonly rows: number | null
  readonly bytes: number | null
  readonly requestedAt: string
  readonly finishedAt: string | null
}

export type ReportsOptions = {
  /** The last one of the page before. */
  readonly before?: Pick<ReportLine, 'requestedAt' | 'originKey'> | null | undefined
  /** 50 if not given, at most 200. */
  readonly limit?: number | undefined
}
