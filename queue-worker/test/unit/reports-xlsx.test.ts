/** What is written into a workbook, read back as a spreadsheet program would: by the directory of the archive. */
import { crc32, inflateRawSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import type { RenderJob, Row } from '../../src/reports/job.ts'
import { startXlsx, xlsxCell } from '../../src/reports/xlsx.ts'
import { columnName, numberFormat, sheetNames, xml } from '../../src/reports/xlsx-parts.ts'

const job: RenderJob = {
  format: 'xlsx',
  path: '',
  columns: [
    { name: 'id', type: 'bigint' },
    { name: 'amount', type: 'numeric' },
    { name: 'at', type: 'timestamp with time zone' },
    { name: 'ok', type: 'boolean' },
    { name: 'text', type: 'text' },
  ],
  title: 'Sales: all',
  lines: ['A & B'],
  chart: null,
  csv: { bom: false, delimiter: ',' },
  fontFile: undefined,
}

async function parts(pages: readonly (readonly Row[])[], maxRows?: number): Promise<Map<string, string>> {
  const chunks: Uint8Array[] = []
  const sink = {
    async write(chunk: string | Uint8Array) {
      chunks.push(Buffer.from(chunk))
    },
  }
  const renderer = await startXlsx(job, sink, maxRows)
  for (const page of pages) await renderer.write(page)
  await renderer.end()
  return unzip(Buffer.concat(chunks))
}

function unzip(file: Buffer): Map<string, string> {
  const end = file.length - 22
  expect(file.readUInt32LE(end)).toBe(0x06054b50)
  const found = new Map<string, string>()
  let at = file.readUInt32LE(end + 16)
  for (let left = file.readUInt16LE(end + 10); left > 0; left -= 1) {
    expect(file.readUInt32LE(at)).toBe(0x02014b50)
    const [crc, packed, size] = [16, 20, 24].map((offset) => file.readUInt32LE(at + offset))
    const nameLength = file.readUInt16LE(at + 28)
    const name = file.toString('utf8', at + 46, at + 46 + nameLength)
    const start = file.readUInt32LE(at + 42)
    const data = start + 30 + file.readUInt16LE(start + 26)
    const content = inflateRawSync(file.subarray(data, data + (packed ?? 0)))
    expect([content.length, crc32(content)], name).toEqual([size, crc])
    found.set(name, content.toString())
    at += 46 + nameLength
  }
  return found
}

const ROW: Row = ['7', '-1.50', '2026-11-24 12:00:00+03', 'true', 'a<b']

test('a workbook has all its parts, with the header in sight and real values', async () => {
  const book = await parts([[ROW], [[null, null, null, null, null]]])
  expect([...book.keys()].sort()).toEqual([
    '[Content_Types].xml',
    '_rels/.rels',
    'docProps/core.xml',
    'xl/_rels/workbook.xml.rels',
    'xl/styles.xml',
    'xl/workbook.xml',
    'xl/worksheets/sheet1.xml',
  ])
  const sheet = book.get('xl/worksheets/sheet1.xml') ?? ''
  expect(sheet).toContain('ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"')
  expect(sheet).toContain(
    '<row r="2"><c r="A2" s="2"><v>7</v></c><c r="B2" s="3"><v>-1.50</v></c><c r="C2" s="4"><v>46350.5</v></c>' +
      '<c r="D2" s="5" t="b"><v>1</v></c><c r="E2" s="6" t="inlineStr"><is><t xml:space="preserve">a&lt;b</t></is></c></row>' +
      '<row r="3"></row></sheetData><autoFilter ref="A1:E3"/>',
  )
  expect(book.get('xl/styles.xml')).toContain('formatCode="#,##0.00"')
  expect(book.get('xl/workbook.xml')).toContain('<sheet name="Sales  all" sheetId="1"')
  expect(book.get('docProps/core.xml')).toContain('<dc:description>A &amp; B</dc:description>')
})

test('what one sheet cannot hold goes into further ones, each with the header', async () => {
  const book = await parts([Array.from({ length: 5 }, () => ROW)], 3)
  const rows = (number: number) => book.get(`xl/worksheets/sheet${number}.xml`)?.match(/<row /g)?.length
  expect([rows(1), rows(2), rows(3), rows(4)]).toEqual([3, 3, 2, undefined])
  expect(book.get('xl/workbook.xml')).toContain('<sheet name="Sales  all 3" sheetId="3" r:id="rId3"/>')
  expect(book.get('[Content_Types].xml')).toContain('/xl/worksheets/sheet3.xml')
})

test('a report without rows is a sheet with a header', async () => {
  const sheet = (await parts([])).get('xl/worksheets/sheet1.xml') ?? ''
  expect(sheet.match(/<row /g)).toHaveLength(1)
})

describe('a cell', () => {
  test.each([
    ['123456789012345', 'integer', '<v>123456789012345</v>'],
    ['9007199254740993', 'integer', 'inlineStr'],
    ['-0.10', 'decimal', '<v>-0.10</v>'],
    ['NaN', 'decimal', 'inlineStr'],
    ['infinity', 'timestamptz', 'inlineStr'],
    ['1850-01-01', 'date', 'inlineStr'],
    ['=1+1', 'text', 'inlineStr'],
    ['_x0041_', 'text', '>_x005F_x0041_<'],
    ['a\u0000b\ud800', 'text', '>a\uFFFDb\uFFFD<'],
  ] as const)('%j as %s holds %s', (cell, kind, expected) => {
    expect(xlsxCell(cell, kind, '')).toContain(expected)
  })
  test('holds no more text than a spreadsheet takes', () => {
    const text = /preserve">([^<]*)</.exec(xlsxCell('x'.repeat(40_000), 'text', ''))?.[1]
    expect(text).toHaveLength(32_767)
    expect(text).toMatch(/x…$/)
  })
})

test('names and formats', () => {
  expect([0, 25, 26, 701, 702].map(columnName)).toEqual(['A', 'Z', 'AA', 'ZZ', 'AAA'])
  expect(sheetNames("'a/b'", 1)).toEqual(['a b'])
  expect(sheetNames('?', 1)).toEqual(['Report'])
  for (const name of sheetNames('x'.repeat(50), 120)) expect(name.length).toBeLessThanOrEqual(31)
  expect(numberFormat('decimal', 3)).toBe('#,##0.000')
  expect(xml('a\r\nb\rc')).toBe('a\nb\nc')
})
