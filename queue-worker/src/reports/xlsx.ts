/** XLSX: real numbers, dates and truth values, written as the rows come. */
import { isNumber, type Kind, kindOf, localTime, serialDay } from './columns.ts'
import type { Renderer, RenderJob, Row, Sink } from './job.ts'
import {
  bookParts,
  columnName,
  HEADER_STYLE,
  numberFormat,
  sheetEnd,
  sheetNames,
  sheetStart,
  styleOf,
  styles,
  xml,
} from './xlsx-parts.ts'
import { createZip } from './zip.ts'

/** Of a sheet, with its header. */
const MAX_ROWS = 1_048_576
const MAX_TEXT = 32_767
/** Characters that are written at once. */
const PIECE = 65_536
/** What a double holds of any number. */
const MAX_DIGITS = 15

export async function startXlsx(job: RenderJob, sink: Sink, maxRows = MAX_ROWS): Promise<Renderer> {
  const zip = createZip(sink)
  const kinds = job.columns.map(({ type }) => kindOf(type))
  const letters = kinds.map((_, at) => columnName(at))
  const names = job.columns.map(({ name }, at) => textCell(name, `r="${letters[at]}1" s="${HEADER_STYLE}"`))
  const header = `<row r="1">${names.join('')}</row>`
  let shape: Shape | null = null
  let sheets = 0
  let rowsInSheet = 0

  async function openSheet(widths: readonly number[]): Promise<void> {
    sheets += 1
    await zip.file(`xl/worksheets/sheet${sheets}.xml`)
    await zip.write(sheetStart(widths) + header)
    rowsInSheet = 1
  }

  async function write(rows: readonly Row[]): Promise<void> {
    if (shape === null) {
      shape = shapeOf(job, kinds, rows)
      await openSheet(shape.widths)
    }
    let text = ''
    for (const row of rows) {
      if (rowsInSheet === maxRows) {
        await zip.write(text + sheetEnd(kinds.length, rowsInSheet))
        text = ''
        await openSheet(shape.widths)
      }
      rowsInSheet += 1
      text += `<row r="${rowsInSheet}">`
      for (let at = 0; at < kinds.length; at += 1) {
        const cell = row[at] ?? null
        if (cell !== null)
          text += xlsxCell(cell, kinds[at] ?? 'text', `r="${letters[at]}${rowsInSheet}" s="${styleOf(at)}"`)
      }
      text += '</row>'
      if (text.length > PIECE) {
        await zip.write(text)
        text = ''
      }
    }
    await zip.write(text)
  }

  return {
    write,
    async end() {
      if (shape === null) await write([])
      await zip.write(sheetEnd(kinds.length, rowsInSheet))
      await zip.file('xl/styles.xml')
      await zip.write(styles(shape?.formats ?? kinds.map((kind) => numberFormat(kind, 0))))
      for (const [path, text] of bookParts(sheetNames(job.title, sheets), job.title, job.lines.join('\n'))) {
        await zip.file(path)
        await zip.write(text)
      }
      await zip.end()
    },
  }
}

/** One cell; `where` is its place and style. */
export function xlsxCell(cell: string, kind: Kind, where: string): string {
  if (kind === 'boolean') return `<c ${where} t="b"><v>${cell === 'true' ? 1 : 0}</v></c>`
  if (isNumber(kind)) {
    const digits = cell.replace(/e.*$/i, '').replace(/\D/g, '').replace(/^0+/, '').length
    return /^-?\d/.test(cell) && digits <= MAX_DIGITS
      ? `<c ${where}><v>${cell}</v></c>`
      : textCell(cell, where)
  }
  if (kind === 'date' || kind === 'timestamp' || kind === 'timestamptz') {
    const serial = serialDay(cell)
    return serial === null ? textCell(localTime(cell), where) : `<c ${where}><v>${serial}</v></c>`
  }
  return textCell(cell, where)
}

function textCell(text: string, where: string): string {
  const kept = text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT - 1)}…` : text
  // Readers take _x0041_ for an escaped letter.
  const plain = kept.replace(/_(?=x[0-9a-f]{4}_)/gi, '_x005F_')
  return `<c ${where} t="inlineStr"><is><t xml:space="preserve">${xml(plain)}</t></is></c>`
}

type Shape = { readonly widths: readonly number[]; readonly formats: readonly string[] }

/** How wide columns are and how numbers are shown, from the first rows: later ones are not known when a sheet begins. */
function shapeOf(job: RenderJob, kinds: readonly Kind[], rows: readonly Row[]): Shape {
  const sample = rows.slice(0, 1000)
  const widths = job.columns.map(({ name }, at) => {
    const texts = sample.map((row) => localTime(row[at] ?? '').split('\n'))
    const longest = Math.max(name.length + 2, ...texts.flat().map((line) => line.length))
    return Math.min(60, Math.max(8, longest + 2))
  })
  const formats = kinds.map((kind, at) => {
    const decimals = sample.map((row) => /^-?\d+\.(\d+)$/.exec(row[at] ?? '')?.[1]?.length ?? 0)
    return numberFormat(kind, Math.max(0, ...decimals))
  })
  return { widths, formats }
}
