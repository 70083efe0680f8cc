/** docs/failures.md and docs/guarantees.md promise something in each row of their tables, and name the tests that show it. */
import { globSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

const tests = new URL('../', import.meta.url)
const linesOf = (page: string) =>
  readFileSync(new URL(`../../../docs/${page}`, import.meta.url), 'utf8').split('\n')
const pages = ['failures.md', 'guarantees.md'].map(linesOf)
const paths = globSync('**/*.test.ts', { cwd: tests })

/** Given with its folder or without. */
const filesNamed = (name: string) => paths.filter((path) => `/queue-worker/test/${path}`.endsWith(`/${name}`))

const FILE = /`([\w/-]+\.test\.ts)`/g
const filesIn = (text: string) => [...text.matchAll(FILE)].map(([, name]) => name ?? '')

type Claim = readonly [name: string, file: string]

/**
 * The names of tests in the last column. Each is in the file named last before it: in its cell, in the heading of its
 * column, or else further above.
 */
function claimsOf(lines: readonly string[]): Claim[] {
  const all: Claim[] = []
  let file = ''
  let ofColumn: string | undefined
  for (const line of lines) {
    const last = line.startsWith('|') ? (line.split(' | ').at(-1) ?? '') : ''
    if (last === '') {
      file = filesIn(line).at(-1) ?? file
    } else if (/^tests?\b/i.test(last)) {
      ofColumn = filesIn(last).at(-1)
    } else if (line.split(' | ').length > 2) {
      file = ofColumn ?? file
      for (const [, quoted = ''] of last.matchAll(/`([^`]+)`/g)) {
        if (quoted.endsWith('.test.ts')) file = quoted
        else all.push([quoted, file])
      }
    }
  }
  return all
}

/** The file and those beside it that it imports: it may have its tables there. */
function sourceOf(file: URL): string {
  const text = readFileSync(file, 'utf8')
  const beside = [...text.matchAll(/ from '(\.\/[\w./-]+\.ts)'/g)].map(([, path = '']) => new URL(path, file))
  return [text, ...beside.map((path) => readFileSync(path, 'utf8'))].join('\n')
}

const claims = pages.flatMap(claimsOf)

test.each([...new Set(pages.flat().flatMap(filesIn))].map((name) => [name]))(
  'there is a test file %s',
  (name) => {
    expect(filesNamed(name)).toHaveLength(1)
  },
)

test.each([...new Map(claims.map((claim) => [claim.join(), claim])).values()])(
  '"%s" is a test of %s',
  (name, file) => {
    const source = sourceOf(new URL(filesNamed(file)[0] ?? '', tests))
    // Many names are put together of tables: all their words are there, if not side by side. "…" is left out in them.
    const words = new Set(source.match(/[\p{L}\p{N}_]+/gu))
    const wanted = name.match(/[\p{L}\p{N}_]+/gu) ?? []
    expect(wanted.filter((word) => !words.has(word))).toEqual([])
  },
)

test('it names many', () => {
  expect(claims.length).toBeGreaterThan(110)
})

test('every promise of docs/guarantees.md names a test, in its own words', () => {
  const rows = linesOf('guarantees.md').filter((line) => /^\| (?!Promise|When )/.test(line))
  expect(rows.length).toBeGreaterThan(30)
  expect(rows.filter((row) => claimsOf([row]).length === 0)).toEqual([])
  const reworded = claimsOf(linesOf('guarantees.md')).filter(
    ([name, file]) => !sourceOf(new URL(filesNamed(file)[0] ?? '', tests)).includes(name),
  )
  expect(reworded).toEqual([])
})
