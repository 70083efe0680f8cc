/** Draws the table: numbers on the right, long texts in several lines, the header again on every page. */
import { isNumber, kindOf, localTime } from './columns.ts'
import type { Column, Row } from './job.ts'
import { COLOURS, type Doc, line, MARGIN } from './pdf-page.ts'

export type Layout = {
  readonly columns: readonly { readonly name: string; readonly width: number; readonly isNumber: boolean }[]
  readonly size: number
}

const PAD = 5
/** A cell may be this tall, some 12 lines; the rest of its text is cut. */
const MAX_CELL = 125
const MAX_TEXT = 2000
/** Columns are laid out by the first rows. */
const SAMPLE = 500

/** What a cell shows. */
export function shownText(cell: string | null, type: string): string {
  const kind = kindOf(type)
  const text = kind === 'timestamp' || kind === 'timestamptz' ? localTime(cell ?? '') : (cell ?? '')
  return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT).toWellFormed()}…` : text
}

/** Header names are words, not identifiers. */
export function headerText(name: string): string {
  return name.replaceAll('_', ' ')
}

/** How wide columns would be without any limit. */
export function naturalWidths(
  doc: Doc,
  columns: readonly Column[],
  rows: readonly Row[],
  size: number,
): number[] {
  return columns.map(({ name, type }, at) => {
    doc.font('bold').fontSize(size)
    let widest = doc.widthOfString(headerText(name))
    doc.font('plain')
    for (const row of rows.slice(0, SAMPLE)) {
      for (const part of shownText(row[at] ?? null, type).split('\n')) {
        // Measuring costs; no text of fewer letters than this is wider.
        if (part.length * size * 0.35 > widest || part.length < 40)
          widest = Math.max(widest, doc.widthOfString(part.slice(0, 200)))
      }
    }
    return widest + 2 * PAD + 1
  })
}

export function layoutOf(columns: readonly Column[], widths: readonly number[], size: number): Layout {
  return {
    size,
    columns: columns.map(({ name, type }, at) => ({
      name: headerText(name),
      width: widths[at] ?? 0,
      isNumber: isNumber(kindOf(type)),
    })),
  }
}

export type Table = {
  readonly layout: Layout
  readonly texts: readonly (readonly string[])[]
  readonly heights: readonly number[]
  readonly headerHeight: number
}

/** Measures every row; draws nothing, but needs a page to measure on. */
export function measure(doc: Doc, layout: Layout, texts: readonly (readonly string[])[]): Table {
  doc.font('bold').fontSize(layout.size)
  const headerHeight =
    heightOf(
      doc,
      layout,
      layout.columns.map(({ name }) => name),
    ) + 2
  doc.font('plain').fontSize(layout.size)
  return { layout, texts, headerHeight, heights: texts.map((row) => heightOf(doc, layout, row)) }
}

/** For each page how many rows it holds: the first from `y` on, the others from the margin. */
export function paginate({ heights, headerHeight }: Table, y: number, bottom: number): number[] {
  const pages = [0]
  let at = y + headerHeight
  for (const height of heights) {
    if (at + height > bottom) {
      pages.push(0)
      at = MARGIN + headerHeight
    }
    pages[pages.length - 1] = (pages.at(-1) ?? 0) + 1
    at += height
  }
  return pages
}

/** Draws the header and these rows; returns where they end. */
export function drawRows(
  doc: Doc,
  { layout, texts, heights, headerHeight }: Table,
  from: number,
  count: number,
  y: number,
): number {
  drawHeader(doc, layout, y, headerHeight)
  let at = y + headerHeight
  doc.font('plain').fontSize(layout.size)
  for (let row = from; row < from + count; row += 1) {
    const height = heights[row] ?? 0
    drawRow(doc, layout, texts[row] ?? [], at, height, (row - from) % 2 === 1)
    at += height
  }
  return at
}

function drawHeader(doc: Doc, layout: Layout, y: number, height: number): void {
  doc.font('bold').fontSize(layout.size)
  doc.rect(MARGIN, y, totalWidth(layout), height).fill(COLOURS.head)
  doc.moveTo(MARGIN, y + height).lineTo(MARGIN + totalWidth(layout), y + height)
  doc.lineWidth(0.8).stroke(COLOURS.rule)
  drawCells(
    doc,
    layout,
    layout.columns.map(({ name }) => name),
    y + 1,
  )
}

function drawRow(
  doc: Doc,
  layout: Layout,
  texts: readonly string[],
  y: number,
  height: number,
  isOdd: boolean,
): void {
  if (isOdd) doc.rect(MARGIN, y + 0.3, totalWidth(layout), height - 0.3).fill(COLOURS.stripe)
  doc.moveTo(MARGIN, y + height).lineTo(MARGIN + totalWidth(layout), y + height)
  doc.lineWidth(0.3).stroke(COLOURS.line)
  drawCells(doc, layout, texts, y)
}

function drawCells(doc: Doc, layout: Layout, texts: readonly string[], y: number): void {
  doc.fillColor(COLOURS.text)
  let x = MARGIN
  for (const [at, { width, isNumber: onTheRight }] of layout.columns.entries()) {
    const inner = width - 2 * PAD
    const text = seen(texts[at] ?? '', inner, layout.size)
    const align = onTheRight ? 'right' : 'left'
    if (text !== '' && isOneLine(doc, text, inner)) line(doc, text, x + PAD, y + PAD - 1, inner, align)
    else if (text !== '')
      doc.text(text, x + PAD, y + PAD - 1, { width: inner, height: MAX_CELL, ellipsis: true, align })
    x += width
  }
}

function heightOf(doc: Doc, layout: Layout, texts: readonly string[]): number {
  const single = layout.size * 1.2
  const heights = layout.columns.map(({ width }, at) => {
    const inner = width - 2 * PAD
    const text = seen(texts[at] ?? '', inner, layout.size)
    return isOneLine(doc, text, inner)
      ? single
      : Math.min(MAX_CELL, doc.heightOfString(text, { width: inner }))
  })
  return Math.max(single, ...heights) + 2 * PAD - 2
}

/** What a cell can show at most, even of narrow letters: breaking the rest into lines would take seconds a cell. */
function seen(text: string, width: number, size: number): string {
  const most = Math.ceil((MAX_CELL / size) * Math.max(1, width / (size * 0.25)))
  return text.length > most ? `${text.slice(0, most).toWellFormed()}…` : text
}

function isOneLine(doc: Doc, text: string, width: number): boolean {
  return !text.includes('\n') && text.length < 300 && doc.widthOfString(text) <= width
}

function totalWidth({ columns }: Layout): number {
  return columns.reduce((sum, { width }) => sum + width, 0)
}
