/** One schedule: when it runs, what it sends, what became of its last runs; run now, pause, resume. */
import type { SchedulePast, TickRow } from '../../queue/dashboard.ts'
import { type Asked, type Page, PageError } from '../asked.ts'
import { ago, moment } from '../format.ts'
import { backOf, buttonForm } from '../forms.ts'
import { type Html, html } from '../html.ts'
import { prettyJson } from '../json.ts'
import { maskOrAll } from '../masks.ts'
import { act, redirect } from './act.ts'
import { fact } from './queue-head.ts'
import { attempted } from './refusal.ts'

export const schedulePage: Page = {
  pattern: /^\/schedules\/([^/]+)$/,
  method: 'GET',
  role: 'viewer',
  async answer(asked) {
    const [name = ''] = asked.found
    const schedule = await asked.ground.ask((queue) => queue.schedulePast(name))
    if (schedule === null)
      throw new PageError(404, `There is no schedule ${name}.`, 'The overview lists those there are.')
    return { kind: 'page', title: name, body: scheduleBody(schedule, asked), live: true }
  },
}

export const scheduleActPage: Page = {
  pattern: /^\/schedules\/([^/]+)\/act$/,
  method: 'POST',
  role: 'operator',
  async answer(asked) {
    const [name = ''] = asked.found
    const place = `/schedules/${encodeURIComponent(name)}`
    const back = backOf(asked.form, place)
    const wanted = asked.form.get('action')
    return attempted(asked, { at: `${place}/act`, back }, async () => {
      if (wanted !== 'run' && wanted !== 'pause' && wanted !== 'resume')
        throw new PageError(400, 'There is no such action.', 'Go back to the schedule, and choose again.')
      const { auditId } = await act(
        asked,
        wanted === 'run'
          ? { action: 'run_schedule', name }
          : { action: 'enable_schedule', name, enabled: wanted === 'resume' },
      )
      return redirect(back, auditId)
    })
  },
}

function scheduleBody(schedule: SchedulePast, asked: Asked): Html {
  const { name, cron, timezone, queue, enabled, missed, createdAt, nextRunAt, lastError, message, ticks } =
    schedule
  const { base, ground } = asked
  const state = !enabled
    ? html`<span class="badge warn">paused</span>`
    : lastError !== null
      ? html`<span class="badge bad">in error</span>`
      : html`<span class="badge good">on</span>`
  return html`<div class="page-head"><h1>${name} ${state}</h1>${scheduleActions(schedule, asked)}</div>
${lastError !== null && html`<p class="notice bad said">${lastError}</p>`}
<dl class="facts">${fact('When', html`<code>${cron}</code> <small>${timezone}</small>`)}${fact('Next run', moment(nextRunAt))}${fact('Queue', html`<a href="${base}/queues/${queue}">${queue}</a>`)}${fact('Missed runs', MISSED[missed] ?? missed)}${fact('Added', moment(createdAt))}</dl>
<h2>Message</h2>
<pre class="json" tabindex="0" aria-label="What it sends">${prettyJson(maskOrAll(ground, queue)(message))}</pre>
<h2>Last runs</h2>
${ticks.length > 0 ? ticksTable(ticks, base, new Date(schedule.now)) : html`<p class="empty">It has not run yet. ${enabled ? 'A scheduler sends it at its time: a worker of npx queue-worker start has one.' : 'It is paused.'}</p>`}`
}

const MISSED: Readonly<Record<string, string>> = {
  skip: 'are left out',
  one: 'are made up for by one',
  all: 'are all made up for',
}

function scheduleActions({ name, enabled }: SchedulePast, { base, visitor }: Asked): Html | false {
  if (visitor.role !== 'operator') return false
  const to = `${base}/schedules/${encodeURIComponent(name)}/act`
  const button = (action: string, label: string) =>
    buttonForm({ to, visitor, fields: [['action', action]], label })
  return html`<div class="actions" role="group" aria-label="Actions for ${name}">${button('run', 'Run now')}${enabled ? button('pause', 'Pause') : button('resume', 'Resume')}</div>`
}

function ticksTable(ticks: readonly TickRow[], base: string, now: Date): Html {
  return html`<div class="wide"><table>
<caption class="hidden">Last runs, the newest first</caption>
<thead><tr><th scope="col">Run of</th><th scope="col">Sent</th><th scope="col">Message</th><th scope="col">What became of it</th></tr></thead>
<tbody>${ticks.map(
    ({ runAt, sentAt, queue, msgId, state }) =>
      html`<tr><th scope="row">${moment(runAt)}</th><td>${ago(sentAt, now)}</td><td><a href="${base}/queues/${queue}/messages/${msgId}">${msgId}</a></td><td>${state}</td></tr>`,
  )}</tbody></table></div>`
}
