/** What is written into CSV and JSON files, cell by cell. */
import { describe, expect, test } from 'vitest'
import { isoTime, kindOf, localTime, serialDay } from '../../src/reports/columns.ts'
import { csvCell, startCsv } from '../../src/reports/csv.ts'
import type { RenderJob } from '../../src/reports/job.ts'
import { jsonCell, startJson } from '../../src/reports/json.ts'

const job = (given: Partial<RenderJob>): RenderJob => ({
  format: 'csv',
  path: '',
  columns: [],
  title: '',
  lines: [],
  chart: null,
  csv: { bom: false, delimiter: ',' },
  fontFile: undefined,
  ...given,
})

function sink() {
  let text = ''
  return {
    text: () => text,
    async write(chunk: string | Uint8Array) {
      text += chunk.toString()
    },
  }
}

describe('CSV', () => {
  test.each([
    ['=1+1', "'=1+1"],
    ['=HYPERLINK("http://x","y")', `"'=HYPERLINK(""http://x"",""y"")"`],
    ['+49 170', "'+49 170"],
    ['-2+3', "'-2+3"],
    ['@SUM(A1)', "'@SUM(A1)"],
    ['\tx', '"\'\tx"'],
    ['\rx', `"'\rx"`],
    ['＝1+1', "'＝1+1"],
    ['-5', '-5'],
    ['-5.25', '-5.25'],
    ['+7', '+7'],
    ['a=1', 'a=1'],
    ['', '""'],
    [' padded ', '" padded "'],
    ['a,b', '"a,b"'],
    ['say "hi"', '"say ""hi"""'],
    ['two\nlines', '"two\nlines"'],
    ['Ελληνικά', 'Ελληνικά'],
  ])('the text %j is written %j', (text, expected) => {
    expect(csvCell(text, 'text', ',')).toBe(expected)
  })

  test('numbers are never made texts, and nothing of theirs is lost', () => {
    expect(csvCell('-5', 'integer', ',')).toBe('-5')
    expect(csvCell('-9223372036854775808', 'integer', ',')).toBe('-9223372036854775808')
    expect(csvCell('-0.10', 'decimal', ';')).toBe('-0.10')
    expect(csvCell('-Infinity', 'decimal', ',')).toBe('-Infinity')
    expect(csvCell(null, 'decimal', ',')).toBe('')
  })

  test('names of columns are no formulas either, and a mark goes first where it is wanted', async () => {
    const file = sink()
    const columns = [
      { name: '=1+1', type: 'text' },
      { name: 'a;b', type: 'text' },
    ]
    await startCsv(job({ columns, csv: { bom: true, delimiter: ';' } }), file)
    expect(file.text()).toBe(`\uFEFF'=1+1;"a;b"\r\n`)
  })
})

describe('JSON', () => {
  test.each([
    ['9007199254740993', 'integer', '9007199254740993'],
    ['0.10', 'decimal', '0.10'],
    ['NaN', 'decimal', '"NaN"'],
    ['-Infinity', 'decimal', '"-Infinity"'],
    ['true', 'boolean', 'true'],
    ['{"a": [1]}', 'json', '{"a": [1]}'],
    ['2026-11-24', 'date', '"2026-11-24"'],
    ['2026-11-24 06:00:00.5+05:30', 'timestamptz', '"2026-11-24T06:00:00.5+05:30"'],
    ['infinity', 'timestamptz', '"infinity"'],
    ['a"b', 'text', '"a\\"b"'],
    [null, 'text', 'null'],
  ] as const)('%j as %s is written %j', (cell, kind, expected) => {
    expect(jsonCell(cell, kind)).toBe(expected)
  })

  test('is an array of objects, also without rows', async () => {
    const columns = [{ name: 'a"', type: 'integer' }]
    const [empty, two] = [sink(), sink()]
    await (await startJson(job({ columns }), empty)).end()
    expect(JSON.parse(empty.text())).toEqual([])
    const renderer = await startJson(job({ columns }), two)
    await renderer.write([['1']])
    await renderer.write([['2']])
    await renderer.end()
    expect(two.text()).toBe('[\n{"a\\"":1},\n{"a\\"":2}\n]\n')
  })
})

test('moments are shown in the time zone they were printed in', () => {
  expect(localTime('2026-11-24 06:00:00+03')).toBe('2026-11-24 06:00:00')
  expect(localTime('2026-11-24 06:00:00.25')).toBe('2026-11-24 06:00:00.25')
  expect(localTime('infinity')).toBe('infinity')
  expect(isoTime('2026-11-24 06:00:00+03')).toBe('2026-11-24T06:00:00+03:00')
  expect(isoTime('2026-11-24 06:00:00')).toBe('2026-11-24T06:00:00')
})

test('days as spreadsheets count them', () => {
  expect(serialDay('2026-11-24')).toBe(46350)
  expect(serialDay('1900-03-01')).toBe(61)
  expect(serialDay('2026-11-24 12:00:00+03')).toBe(46350.5)
  for (const text of ['1900-02-28', 'infinity', '0044-03-15 BC', '10000-01-01'])
    expect(serialDay(text)).toBeNull()
})

test('types that are not known are texts', () => {
  expect(kindOf('bigint')).toBe('integer')
  expect(kindOf('constructor')).toBe('text')
  expect(kindOf('uuid')).toBe('text')
})
