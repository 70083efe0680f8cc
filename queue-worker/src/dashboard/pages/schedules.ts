/** What is sent by schedule: when it was last, when it is next, and what became of it. */
import type { ScheduleRow } from '../../queue/dashboard.ts'
import { ago, moment } from '../format.ts'
import { type Html, html } from '../html.ts'

export function schedulesTable(schedules: readonly ScheduleRow[], base: string, now: Date): Html {
  if (schedules.length === 0)
    return html`<p class="empty">There is no schedule. Add one: <code>npx queue-worker schedules add nightly '0 3 * * *' reports '{"report": "daily_volume", "format": "csv"}'</code></p>`
  return html`<div class="wide"><table>
<caption class="hidden">Schedules</caption>
<thead><tr><th scope="col">Schedule</th><th scope="col">State</th><th scope="col">When</th><th scope="col">Queue</th><th scope="col">Last run</th><th scope="col">What became of it</th><th scope="col">Next run</th></tr></thead>
<tbody>${schedules.map((schedule) => scheduleRow(schedule, base, now))}</tbody></table></div>`
}

function scheduleRow(schedule: ScheduleRow, base: string, now: Date): Html {
  const { name, cron, timezone, queue, enabled, lastError, lastMsgId, lastState } = schedule
  const state = !enabled
    ? html`<span class="badge warn">paused</span>`
    : lastError !== null
      ? html`<span class="badge bad" title="${lastError}">in error</span>`
      : html`<span class="badge good">on</span>`
  return html`<tr id="schedule-${name}"><th scope="row"><a href="${base}/schedules/${encodeURIComponent(name)}">${name}</a></th><td>${state}</td>
<td><code>${cron}</code> <small>${timezone}</small></td><td><a href="${base}/queues/${queue}">${queue}</a></td>
<td>${ago(schedule.lastRunAt, now)}</td><td>${lastMsgId !== null && html`<a href="${base}/queues/${queue}/messages/${lastMsgId}">${lastState ?? lastMsgId}</a>`}</td><td>${moment(schedule.nextRunAt)}</td></tr>`
}
