/** Takes back what somebody did: one row of the audit, or all bites of what was done in one go. */
import { type Page, PageError } from '../asked.ts'
import { loadRun, parseRun, runText } from '../audit-run.ts'
import { backOf } from '../forms.ts'
import { act, redirect } from './act.ts'
import { progress } from './progress.ts'
import { attempted } from './refusal.ts'

/** A bite undone takes as long as the bite. */
const AT_ONCE = 5

export const undoPage: Page = {
  pattern: /^\/audit\/(\d{1,18})\/undo$/,
  method: 'POST',
  role: 'operator',
  async answer(asked) {
    const { found, form, ground, visitor, base } = asked
    const [id = ''] = found
    const back = backOf(form, '/audit')
    const run = parseRun(form.get('run') ?? id) ?? { first: id, last: id }
    return attempted(asked, { at: `/audit/${id}/undo`, back }, async () => {
      const rows = await ground.ask((queue) => loadRun(queue, run))
      if (rows.length === 0)
        throw new PageError(404, `There is no number ${id} in the audit.`, 'It may have been pruned.')
      const open = rows.filter((row) => row.canUndo)
      const begun = form.get('begun')
      if (form.get('stop') === 'yes')
        return redirect(back, begun === null ? runText(run) : runText({ first: begun, last: null }))
      if (open.length === 0 && rows.every((row) => row.undone === null))
        throw new PageError(
          409,
          'This cannot be undone any more.',
          'A worker has read the messages since, or what it needs was pruned.',
        )
      const undone: string[] = begun === null ? [] : [begun]
      for (const row of open.slice(0, AT_ONCE)) {
        const { auditId } = await act(asked, { action: 'undo', auditId: row.id })
        undone.push(auditId)
      }
      const [first = run.first] = undone
      const left = open.length - AT_ONCE
      if (left <= 0) return redirect(back, runText({ first, last: undone.at(-1) ?? run.last }))
      const title = 'It is undone'
      const body = progress({
        ...{ title, visitor, done: rows.length - left, total: rows.length },
        to: `${base}/audit/${id}/undo`,
        fields: [
          ['run', runText(run)],
          ['begun', first],
          ['back', back],
        ],
      })
      return { kind: 'page', title, body }
    })
  },
}
