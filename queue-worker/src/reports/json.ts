/** JSON: an array of objects, one a line. Numbers are written digit for digit as the database has them. */
import { isoTime, type Kind, kindOf } from './columns.ts'
import type { Renderer, RenderJob, Sink } from './job.ts'

export async function startJson(job: RenderJob, sink: Sink): Promise<Renderer> {
  const keys = job.columns.map(({ name }) => JSON.stringify(name))
  const kinds = job.columns.map(({ type }) => kindOf(type))
  let isFirst = true
  await sink.write('[')
  return {
    async write(rows) {
      let text = ''
      for (const row of rows) {
        const members = row.map((cell, at) => `${keys[at]}:${jsonCell(cell, kinds[at] ?? 'text')}`)
        text += `${isFirst ? '\n' : ',\n'}{${members.join(',')}}`
        isFirst = false
      }
      await sink.write(text)
    },
    end: () => sink.write('\n]\n'),
  }
}

export function jsonCell(cell: string | null, kind: Kind): string {
  if (cell === null) return 'null'
  switch (kind) {
    case 'integer':
    case 'decimal':
      // NaN and Infinity are no numbers to JSON.
      return /^-?\d/.test(cell) ? cell : JSON.stringify(cell)
    case 'boolean':
    case 'json':
      return cell
    case 'timestamp':
    case 'timestamptz':
      return JSON.stringify(isoTime(cell))
    default:
      return JSON.stringify(cell)
  }
}
