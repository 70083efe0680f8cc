/** PDF files as a reader sees them: pages, their numbers, the repeated header, letters of other scripts. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inflateSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { axisLabels, chartData, ticks } from '../../src/reports/chart-data.ts'
import { DoesNotFitError, type RenderJob, type Row } from '../../src/reports/job.ts'
import { fitWidths } from '../../src/reports/pdf-widths.ts'
import { startRendering } from '../../src/reports/rendering.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'queue-worker-pdf-'))
})
afterAll(() => rm(folder, { recursive: true }))

let number = 0
async function pdf(
  rows: readonly Row[],
  given: Partial<RenderJob> = {},
): Promise<{ pages: string[]; file: Buffer }> {
  number += 1
  const path = join(folder, `${number}.pdf`)
  const rendering = startRendering({
    format: 'pdf',
    path,
    columns: [
      { name: 'day', type: 'date' },
      { name: 'shop_name', type: 'text' },
      { name: 'total', type: 'numeric' },
    ],
    title: 'Продажи',
    lines: ['Period: 2026-11-01 – 2026-11-30'],
    chart: null,
    csv: { bom: false, delimiter: ',' },
    fontFile: undefined,
    ...given,
  })
  try {
    await rendering.write(rows.map((row) => JSON.stringify(row)).join(','))
    await rendering.end()
  } finally {
    await rendering.stop()
  }
  const file = await readFile(path)
  return { pages: pagesOf(file), file }
}

/** The text of each page, by the maps of its fonts: glyph numbers become letters again. */
function pagesOf(file: Buffer): string[] {
  const objects = new Map<string, string>()
  for (const [, id = '', body = ''] of file
    .toString('latin1')
    .matchAll(/\n(\d+) 0 obj\n([\s\S]*?)\nendobj/g)) {
    const [, stream] = /stream\n([\s\S]*?)\nendstream/.exec(body) ?? []
    const isPacked = stream !== undefined && /\/FlateDecode/.test(body)
    const plain = isPacked ? inflateSync(Buffer.from(stream, 'latin1')).toString('latin1') : (stream ?? '')
    objects.set(id, `${body.replace(/stream\n[\s\S]*/, '')}\n${plain}`)
  }
  const find = (id: string | undefined) => objects.get(id ?? '') ?? ''
  const letters = new Map<string, Map<number, string>>()
  for (const body of objects.values()) {
    for (const [, name = '', id] of body.matchAll(/\/(F\d+) (\d+) 0 R/g)) {
      const map = find(/\/ToUnicode (\d+)/.exec(find(id))?.[1])
      letters.set(name, lettersOf(map))
    }
  }
  const pages = [...objects.values()].filter((body) => /\/Type \/Page\b(?!s)/.test(body))
  return pages.map((page) => textOf(find(/\/Contents (\d+)/.exec(page)?.[1]), letters))
}

function lettersOf(map: string): Map<number, string> {
  const found = new Map<number, string>()
  for (const [, first = '', list = ''] of map.matchAll(/<([0-9a-f]+)> <[0-9a-f]+> \[([^\]]*)\]/gi)) {
    const units = [...list.matchAll(/<([0-9a-f ]+)>/gi)].map(([, hex = '']) => hex.replaceAll(' ', ''))
    for (const [at, hex] of units.entries()) {
      const letter = (hex.match(/.{4}/g) ?? [])
        .map((unit) => String.fromCharCode(Number.parseInt(unit, 16)))
        .join('')
      found.set(Number.parseInt(first, 16) + at, letter)
    }
  }
  return found
}

function textOf(content: string, letters: ReadonlyMap<string, ReadonlyMap<number, string>>): string {
  let font = ''
  let text = ''
  for (const [, name, shown] of content.matchAll(/\/(F\d+) [\d.]+ Tf|\[([^\]]*)\] TJ/g)) {
    if (name !== undefined) font = name
    for (const [, hex = ''] of (shown ?? '').matchAll(/<([0-9a-f]+)>/gi)) {
      for (const glyph of hex.match(/.{4}/g) ?? [])
        text += letters.get(font)?.get(Number.parseInt(glyph, 16)) ?? '?'
    }
    if (shown !== undefined) text += '\n'
  }
  return text
}

const rows = (count: number): Row[] =>
  Array.from({ length: count }, (_, at) => ['2026-11-24', at % 2 ? 'Αθήνα' : 'Ðà Nẵng', `${at}.50`])

describe('a PDF', () => {
  test('has a title, a period, and on each page the header and its number', async () => {
    const { pages, file } = await pdf(rows(150))
    expect(file.subarray(0, 5).toString()).toBe('%PDF-')
    expect(pages.length).toBeGreaterThan(2)
    expect(pages[0]).toContain('Продажи\nPeriod: 2026-11-01 – 2026-11-30\n')
    for (const [at, page] of pages.entries()) {
      expect(page).toContain('day\nshop name\ntotal\n')
      expect(page).toContain(`${at + 1} / ${pages.length}\n`)
    }
    const all = pages.join('')
    for (let at = 0; at < 150; at += 1) expect(all).toContain(`\n${at}.50\n`)
    expect(all).toContain('Αθήνα')
    expect(all).toContain('Ðà Nẵng')
  })

  test('breaks long texts into lines, draws charts, and stays one page where it can', async () => {
    const words = Array.from({ length: 60 }, (_, at) => `word${at}`)
    const chart = { kind: 'line', label: 'day', values: ['total'] } as const
    const { pages } = await pdf([['2026-11-24', words.join(' '), '1000.5']], { chart })
    expect(pages).toHaveLength(1)
    for (const word of words) expect(pages[0]).toContain(word)
    expect(pages[0]).toContain('1000.5')
  })

  test('keeps numbers in one piece, also in the smallest letters', async () => {
    const types = [
      'bigint',
      'timestamptz',
      'numeric',
      'text',
      'text',
      'numeric',
      'numeric',
      'timestamptz',
      'text',
      'numeric',
    ]
    const columns = types.map((type, at) => ({ name: `c${at}`, type }))
    const row: Row = [
      '12',
      '2026-11-24 06:00:00.629551+00',
      '12345678901234.567',
      'some words',
      'x'.repeat(36),
      '1.5',
      '1000000000000',
      '2026-11-24 06:00:00+00',
      'more words here',
      '99999',
    ]
    const { pages } = await pdf([row], { columns })
    for (const value of ['12', '12345678901234.567', '1.5', '1000000000000', '99999'])
      expect(pages[0]).toContain(`\n${value}\n`)
  })

  test('says so when there is nothing in it, and refuses more rows than anybody reads', async () => {
    expect((await pdf([])).pages[0]).toContain('No rows.')
    await expect(pdf(rows(10_001))).rejects.toThrow(DoesNotFitError)
  })

  test('holds many columns and odd values', async () => {
    const columns = Array.from({ length: 30 }, (_, at) => ({ name: `column_${at}`, type: 'text' }))
    const odd = columns.map((_, at) =>
      at % 3 === 0 ? null : at % 3 === 1 ? 'x'.repeat(3000) : 'a\u0000\u202e\ud83d😀\n\n',
    )
    const { pages } = await pdf([odd], { columns, title: 'Ω'.repeat(200) })
    expect(pages.length).toBeGreaterThan(0)
  })
})

test('a chart shows sums by label, on a round scale', () => {
  const columns = ['day', 'sent', 'dead'].map((name) => ({ name, type: 'text' }))
  const given: Row[] = [
    ['1', '5', null],
    ['2', '7', 'x'],
    ['1', '1', '2'],
  ]
  const chart = { kind: 'bar', label: 'day', values: ['sent', 'dead'] } as const
  expect(chartData(chart, columns, given)).toEqual({
    labels: ['1', '2'],
    series: [
      { name: 'sent', values: [6, 7] },
      { name: 'dead', values: [2, 0] },
    ],
  })
  expect(ticks([0, 7])).toEqual([0, 2, 4, 6, 8])
  expect(ticks([-3, 12])).toEqual([-5, 0, 5, 10, 15])
  expect(ticks([0, 0])).toEqual([0, 1])
  expect(axisLabels([0, 5000, 10_000])).toEqual(['0', '5k', '10k'])
  expect(axisLabels([0, 0.2, 0.4])).toEqual(['0', '0.2', '0.4'])
})

test('columns get what they need; the widest texts give way first', () => {
  expect(fitWidths([50, 50], [false, false], 200)).toEqual([100, 100])
  expect(fitWidths([50, 100, 400], [true, false, false], 300)).toEqual([50, 100, 150])
  expect(fitWidths([200, 200, 200], [true, true, true], 300)).toEqual([100, 100, 100])
  // Where even they are not enough, a short number still keeps its line.
  expect(fitWidths([20, 20, 300, 200, 200], [true, true, true, false, false], 340)).toEqual([
    20, 20, 100, 100, 100,
  ])
})
