/** docs/troubleshooting.md leads from what is seen to what the doctor finds: both are what the code says today. */
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { CHECKS, LOCAL_CHECKS } from '../../src/doctor/checks/index.ts'
import { settings } from '../../src/doctor/checks/settings.ts'
import { COMMON } from '../../src/doctor/run.ts'
import { projectRoot } from '../support/cli.ts'
import { pageText } from '../support/doc-blocks.ts'

/** What is seen, the findings, what to do. */
const rows = [...pageText('docs/troubleshooting.md').matchAll(/^\| (.*?) \| (.*?) \| (.*) \|$/gm)]
  .map((match) => match.slice(1))
  .filter(([seen]) => seen !== 'You see')
const quoted = (cell = '') => [...cell.matchAll(/`([^`]+)`/g)].map(([, text = '']) => text)

const catalogs = [...LOCAL_CHECKS, settings, ...CHECKS].map(({ catalog }) => Object.entries(catalog))
const troubles = [...catalogs.flat(), ...Object.entries(COMMON)].filter(
  ([, { severity }]) => severity !== 'ok',
)

test('every finding of the doctor that is no good news has a symptom', () => {
  const named = new Set(rows.flatMap(([, findings, remedy]) => [...quoted(findings), ...quoted(remedy)]))
  expect(troubles.length).toBeGreaterThan(60)
  expect(troubles.map(([id]) => id).filter((id) => !named.has(id))).toEqual([])
})

test('every finding that is named exists', () => {
  const known = new Set(troubles.map(([id]) => id))
  expect(rows.flatMap(([, findings]) => quoted(findings)).filter((id) => !known.has(id))).toEqual([])
})

test('every row says what to do', () => {
  expect(rows.length).toBeGreaterThan(60)
  expect(rows.filter(([, , remedy = '']) => remedy.length < 15)).toEqual([])
})

/** Words of the table of `queue-worker queues`, options, columns: no sentences. */
const isSentence = (text: string) => / /.test(text) && !text.startsWith('pgmq.')

test('what the worker is said to print stands in its code', () => {
  const read = (pattern: string) =>
    globSync(pattern, { cwd: projectRoot }).map((path) => readFileSync(join(projectRoot, path), 'utf8'))
  const code = [...read('queue-worker/src/**/*.ts'), ...read('supabase/migrations/*.sql')]
    .join('\n')
    // Sentences with a value in them are named up to it; one that breaks over two lines is joined.
    .replaceAll(/' \+\s*[`']/g, '')
  const printed = rows.flatMap(([seen = '']) =>
    // What others print is marked as theirs.
    /\(from \w+\)/.test(seen) ? [] : quoted(seen).filter(isSentence),
  )
  expect(printed.length).toBeGreaterThan(25)
  expect(printed.filter((text) => !code.includes(text))).toEqual([])
})
