/** What was just done, at the top of the page it led to, with the way to take it back. */
import type { AuditRow } from '../../queue/dashboard.ts'
import type { Asked } from '../asked.ts'
import { loadRun, parseRun, type RunName, runText } from '../audit-run.ts'
import { moment } from '../format.ts'
import { buttonForm, withField } from '../forms.ts'
import { type Html, html } from '../html.ts'
import { tellAct } from '../tell-act.ts'

export type NoticeOf = {
  readonly run: RunName
  /** The oldest first. */
  readonly rows: readonly AuditRow[]
  readonly asked: Pick<Asked, 'visitor' | 'base'>
  /** Where it is shown, below base, without the notice. */
  readonly at: string
}

/** Null where the query names none, or none that there is. Rejects with ConnectionFailure. */
export async function noticeOf(asked: Asked, at: string): Promise<Html | null> {
  const run = parseRun(asked.query.get('notice') ?? '')
  if (run === null) return null
  const rows = await asked.ground.ask((queue) => loadRun(queue, run))
  return rows.length === 0 ? null : noticeFor({ run, rows, asked, at: withField(at, 'notice', null) })
}

export function noticeFor({ run, rows, asked, at }: NoticeOf): Html {
  const [first] = rows
  const { visitor, base } = asked
  const undone = rows.flatMap((row) => (row.undone === null ? [] : [row.undone])).at(-1)
  const canUndo = rows.some((row) => row.canUndo) && visitor.role === 'operator'
  const howMany = rows.reduce((all, row) => all + row.count, 0)
  return html`<div class="notice" role="status"><p>${first !== undefined && tellAct(first, howMany)}.${
    undone !== undefined && html` Undone by ${undone.by}, ${moment(undone.at)}.`
  }</p>
${
  canUndo &&
  buttonForm({
    ...{ to: `${base}/audit/${run.first}/undo`, visitor, label: 'Undo' },
    fields: [
      ['run', runText(run)],
      ['back', backFrom(first, at)],
    ],
  })
}
<a class="dismiss" href="${base}${at}">Dismiss</a></div>`
}

/** The page of a message that is taken out of its queue is not there any more. */
function backFrom(first: AuditRow | undefined, at: string): string {
  return first?.action === 'send' ? `/queues/${first.queue}` : at
}
