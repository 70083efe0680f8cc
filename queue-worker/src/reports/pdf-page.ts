/** The paper: sizes, colours, fonts, and texts that never start a page by themselves. */
import { createRequire } from 'node:module'
import PDFDocument from 'pdfkit'

export type Doc = PDFKit.PDFDocument

export const COLOURS = {
  text: '#1f2933',
  quiet: '#66727f',
  line: '#d5dce4',
  rule: '#8fa3b8',
  head: '#e8edf3',
  stripe: '#f7f9fb',
}
export const SERIES = ['#2f6db5', '#e08a2e', '#b8403a', '#4b9b6e', '#8466ae', '#5f6b76']

export const MARGIN = 40
/** From the paper's lower edge: below it is the number of the page. */
export const FOOT = 34

const require = createRequire(import.meta.url)
const font = (name: string) => require.resolve(`dejavu-fonts-ttf/ttf/${name}.ttf`)

/** Pages go out as they are finished. Widths of words are not kept: those of many rows would fill the memory. */
export function newDocument(title: string, layout: 'portrait' | 'landscape', fontFile?: string): Doc {
  const plain = fontFile ?? font('DejaVuSans')
  const doc = new PDFDocument({
    ...{ size: 'A4', layout, margin: MARGIN, autoFirstPage: false, font: plain, fontLayoutCache: false },
    info: { Title: title, Creator: 'queue-worker' },
  })
  doc.registerFont('plain', plain)
  doc.registerFont('bold', fontFile ?? font('DejaVuSans-Bold'))
  return doc
}

export function bottomOf(doc: Doc): number {
  return doc.page.height - FOOT - 12
}

export function widthOf(doc: Doc): number {
  return doc.page.width - 2 * MARGIN
}

/** One line at this place, cut with an ellipsis where it is too long. */
export function line(
  doc: Doc,
  text: string,
  x: number,
  y: number,
  width: number,
  align: 'left' | 'right' | 'center' = 'left',
): void {
  const shown = fitted(doc, text, width)
  const free = width - doc.widthOfString(shown)
  const start = align === 'left' ? x : align === 'right' ? x + free : x + free / 2
  doc.text(shown, start, y, { lineBreak: false })
}

function fitted(doc: Doc, text: string, width: number): string {
  if (doc.widthOfString(text) <= width) return text
  let [low, high] = [0, text.length]
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if (doc.widthOfString(`${text.slice(0, middle)}…`) <= width) low = middle
    else high = middle - 1
  }
  return `${text
    .slice(0, low)
    .toWellFormed()
    .replace(/\uFFFD$/, '')}…`
}

/** What stands below a page: the title, and "3 / 7". */
export function drawFoot(doc: Doc, title: string, page: number, pages: number): void {
  // What is below the margin would start a new page.
  doc.page.margins.bottom = 0
  doc.font('plain').fontSize(8).fillColor(COLOURS.quiet)
  const y = doc.page.height - FOOT
  line(doc, title, MARGIN, y, widthOf(doc) - 80)
  line(doc, `${page} / ${pages}`, MARGIN, y, widthOf(doc), 'right')
}
