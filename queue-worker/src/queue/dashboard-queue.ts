/** The dashboard's part of the queue: requests in the protocol's JSON, answers checked and typed. */
import type { z } from 'zod'
import { actionRow } from './action-request.ts'
import { actedRow, auditRows } from './action-rows.ts'
import { reportLineRows, schedulePastRow } from './browse-rows.ts'
import type { Dashboard, MessagesOptions, Span } from './dashboard.ts'
import * as rows from './dashboard-rows.ts'
import { storableValue } from './requests.ts'

type Ask = <T>(entryPoint: string, request: object, schema: z.ZodType<T>) => Promise<T>

export function createDashboard(ask: Ask): Dashboard {
  return {
    glance: (queues) => ask('glance', { queues }, rows.glanceRow),
    messages: (queue, options) => ask('messages', { queue, ...messagesRow(options) }, rows.messagePage),
    history: (queue, { stepSeconds, ...span }) =>
      ask('history', { queue, step_seconds: stepSeconds, ...spanRow(span) }, rows.historyRows),
    errorGroups: (queue, span) => ask('error_groups', { queue, ...spanRow(span) }, rows.errorGroupRows),
    act: (action, by) => ask('act', { ...actionRow(action), by: storableValue(by) }, actedRow),
    audit: ({ before, queue, limit }) => ask('audit', { before, queue, limit }, auditRows),
    related: (originKey) => ask('related', { origin_key: originKey }, rows.relatedRow),
    schedulePast: (name) => ask('schedule_past', { name: storableValue(name) }, schedulePastRow),
    recentReports: ({ before, limit }) =>
      ask(
        'recent_reports',
        { before: before && { requested_at: before.requestedAt, origin_key: before.originKey }, limit },
        reportLineRows,
      ),
  }
}

function messagesRow({ search, text, error, since, before, ...options }: MessagesOptions) {
  return {
    ...options,
    search: storableValue(search),
    text: storableValue(text),
    error: storableValue(error),
    since: since?.toISOString(),
    before: before?.toISOString(),
  }
}

function spanRow({ since, until }: Span) {
  return { since: since.toISOString(), until: until.toISOString() }
}
