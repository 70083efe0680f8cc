/** CSV as RFC 4180 has it, and as spreadsheets open it without harm. */
import { type Kind, kindOf, localTime } from './columns.ts'
import type { Renderer, RenderJob, Sink } from './job.ts'

const PLAIN_NUMBER = /^[+-]?\d+(?:[.,]\d+)?$/

export async function startCsv(job: RenderJob, sink: Sink): Promise<Renderer> {
  const { delimiter, bom } = job.csv
  const kinds = job.columns.map((column) => kindOf(column.type))
  const line = (cells: readonly string[]) => `${cells.join(delimiter)}\r\n`
  const header = line(job.columns.map(({ name }) => csvField(harmless(name), delimiter)))
  await sink.write(`${bom ? '\uFEFF' : ''}${header}`)
  return {
    write: (rows) =>
      sink.write(
        rows
          .map((row) => line(row.map((cell, at) => csvCell(cell, kinds[at] ?? 'text', delimiter))))
          .join(''),
      ),
    async end() {},
  }
}

/** One cell, quoted where it has to be. NULL is an empty field, an empty text a quoted one. */
export function csvCell(cell: string | null, kind: Kind, delimiter: string): string {
  if (cell === null) return ''
  switch (kind) {
    case 'integer':
    case 'decimal':
      return csvField(cell, delimiter)
    case 'boolean':
    case 'date':
      return cell
    case 'timestamp':
    case 'timestamptz':
      return localTime(cell)
    default:
      return csvField(harmless(cell), delimiter)
  }
}

/**
 * A spreadsheet takes a text that begins like this for a formula and runs it, quoted or not; an apostrophe before it
 * makes it a text. What is no more than a number does no harm.
 */
function harmless(text: string): string {
  return /^[=+\-@\t\r\n＝＋－＠]/.test(text) && !PLAIN_NUMBER.test(text) ? `'${text}` : text
}

function csvField(text: string, delimiter: string): string {
  // Also what separates elsewhere: a program that takes another delimiter must not find a formula behind it.
  if (text !== '' && !/["\r\n,;\t]/.test(text) && !text.includes(delimiter) && text.trim() === text)
    return text
  return `"${text.replaceAll('"', '""')}"`
}
