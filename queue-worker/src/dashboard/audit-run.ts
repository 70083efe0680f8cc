/** What a person did in one go may be many rows of the audit, one for each bite: a run, named by its first and last row. */
import type { Queue } from '../queue/contract.ts'
import type { AuditRow } from '../queue/dashboard.ts'

/** `last` null: as far as it came, for one that was stopped. */
export type RunName = { readonly first: string; readonly last: string | null }

const PAGE = 200
/** A run of more bites than this is told and undone from the audit. */
const MAX_PAGES = 20

/** "12", "12..31" or "12.."; null for anything else. */
export function parseRun(text: string): RunName | null {
  const [, first, dots, last = ''] = /^(\d{1,18})(\.\.(\d{1,18})?)?$/.exec(text) ?? []
  if (first === undefined) return null
  return { first, last: dots === undefined ? first : last || null }
}

export function runText({ first, last }: RunName): string {
  return first === last ? first : `${first}..${last ?? ''}`
}

/** Its rows, the oldest first; empty where there is no such row. */
export async function loadRun(
  queue: Pick<Queue, 'audit'>,
  { first, last }: RunName,
): Promise<readonly AuditRow[]> {
  const [begin] = await queue.audit({ before: after(first), limit: 1 })
  if (begin === undefined || begin.id !== first) return []
  if (last === first || begin.queue === null) return [begin]
  const rows: AuditRow[] = []
  let before = last === null ? null : after(last)
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const found = await queue.audit({ queue: begin.queue, before, limit: PAGE })
    rows.push(...found.filter((row) => belongs(row, begin)))
    before = found.at(-1)?.id ?? null
    if (before === null || BigInt(before) <= BigInt(first)) break
  }
  return rows.reverse()
}

const belongs = (row: AuditRow, begin: AuditRow) =>
  BigInt(row.id) >= BigInt(begin.id) &&
  row.action === begin.action &&
  row.by === begin.by &&
  asked(row) === asked(begin)

/** What was asked for, but for how far it had come. */
const asked = ({ target: { after_id, limit, delay_seconds, begun_with, audit_id, ...rest } }: AuditRow) =>
  JSON.stringify(Object.entries(rest).sort())

const after = (id: string) => String(BigInt(id) + 1n)
