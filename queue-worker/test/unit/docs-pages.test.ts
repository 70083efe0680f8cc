/** The README and docs/: links lead somewhere, blocks of data can be read, and who runs the SQL of a page. */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { parseEnv } from 'node:util'
import { describe, expect, test } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { splitOverride } from '../../src/config/overrides.ts'
import { ALIASES, QUEUE_FIELDS, SETTING_NAMES, SETTINGS } from '../../src/config/settings.ts'
import { projectRoot } from '../support/cli.ts'
import { blocksIn, blocksOf, PAGES, pageText, proseOf } from '../support/doc-blocks.ts'

const OTHER_PAGES = ['CONTRIBUTING.md', 'SECURITY.md', 'examples/README.md']

/** The anchors of a page, as GitHub makes them of its headings. */
function anchorsOf(path: string): string[] {
  const headings = readFileSync(join(projectRoot, path), 'utf8').matchAll(/^#{1,6} (.*)$/gm)
  return [...headings].map(([, heading = '']) =>
    heading
      .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  )
}

const linksOf = (page: string) =>
  [...proseOf(page).matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target = '']) => target)
    .filter((target) => !/^https?:|^mailto:/.test(target))

test.each([...PAGES, ...OTHER_PAGES].map((page) => [page]))('the links of %s lead somewhere', (page) => {
  const broken = linksOf(page).filter((target) => {
    const [path = '', anchor] = target.split('#')
    const file = path === '' ? page : normalize(join(dirname(page), path))
    if (!existsSync(join(projectRoot, file))) return true
    return anchor !== undefined && !anchorsOf(file).includes(anchor)
  })
  expect(broken).toEqual([])
})

test('docs/README.md leads to every page', () => {
  const linked = linksOf('docs/README.md').map((target) =>
    normalize(join('docs', target.split('#')[0] ?? '')),
  )
  const missing = PAGES.filter(
    (page) => page !== 'README.md' && page !== 'docs/README.md' && !linked.includes(page),
  )
  expect(missing).toEqual([])
})

test('every block says what it is, and is of a kind that some test knows', () => {
  // Those of proxies are run by integration/dashboard-proxies.test.ts.
  const known = ['sql', 'sh', 'ts', 'js', 'json', 'yaml', 'ini', 'text', 'mermaid', 'nginx', 'caddyfile']
  const unknown = PAGES.flatMap(blocksOf).filter(
    ({ language }) => !known.includes(language.split(' ')[0] ?? ''),
  )
  expect(unknown.map(({ page, line, language }) => `${page}:${line} ${language}`)).toEqual([])
})

describe('blocks of data can be read:', () => {
  test.each(blocksIn('json').map((block) => [`${block.page}:${block.line}`, block.text]))('%s', (_, text) => {
    expect(JSON.parse(text)).toBeTypeOf('object')
  })
  test.each(blocksIn('yaml').map((block) => [`${block.page}:${block.line}`, block.text]))('%s', (_, text) => {
    expect(parseAllDocuments(text).flatMap(({ errors }) => errors)).toEqual([])
  })
  test.each(blocksIn('ini').map((block) => [`${block.page}:${block.line}`, block.text]))('%s', (_, text) => {
    for (const [name, value] of Object.entries(parseEnv(text))) {
      if (value === undefined) continue
      const setting = SETTING_NAMES.find((one) => one === name || ALIASES[one]?.includes(name))
      const own = splitOverride(name)
      const field = setting !== undefined ? SETTINGS.shape[setting] : own && QUEUE_FIELDS[own.suffix]
      expect(field, `${name} is a setting`).toBeDefined()
      if (value !== '' && !value.includes('…'))
        expect(field?.safeParse(value).error?.issues, name).toBeUndefined()
    }
  })
})

/** Who runs the SQL of a page. A page without a test would promise what nobody has tried. */
const SQL_RUN_BY: Readonly<Record<string, string>> = {
  'docs/schedules.md': 'sql/schedules-doc.test.ts',
  'docs/sleep.md': 'sql/wake.test.ts',
  'docs/deployment/kubernetes.md': 'sql/keda.test.ts',
  'docs/runbooks.md': 'support/runbook.ts',
}

test.each([...new Set(blocksIn('sql').map(({ page }) => page))].map((page) => [page]))(
  'a test runs the SQL of %s',
  (page) => {
    const file = SQL_RUN_BY[page] ?? 'integration/docs-examples.test.ts'
    const source = readFileSync(new URL(`../${file}`, import.meta.url), 'utf8')
    expect(source).toContain(page)
  },
)

test('every arrow of the diagram of docs/how-messages-move.md has its row', () => {
  const page = 'docs/how-messages-move.md'
  const [diagram] = blocksOf(page).filter(({ language }) => language === 'mermaid')
  const lines = (diagram?.text ?? '').split('\n').filter((line) => line.includes('-->'))
  const arrows = lines.map((line) => /^\s*\S+ --> \S+: (.+)$/.exec(line)?.[1] ?? line)
  const rows = [...pageText(page).matchAll(/^\| \*\*(.+?)\*\* \|/gm)].map(([, name]) => name)
  expect(arrows.length).toBeGreaterThan(8)
  expect([...new Set(arrows)].sort()).toEqual([...new Set(rows)].sort())
})
