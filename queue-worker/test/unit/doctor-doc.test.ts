/** docs/doctor.md lists what the doctor can find; that list and the code are the same. */
import { globSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { CHECKS, LOCAL_CHECKS } from '../../src/doctor/checks/index.ts'
import { settings } from '../../src/doctor/checks/settings.ts'
import { COMMON } from '../../src/doctor/run.ts'

const doc = readFileSync(new URL('../../../docs/doctor.md', import.meta.url), 'utf8')
const checks = [...LOCAL_CHECKS, settings, ...CHECKS]

/** The rows of the tables: check, finding, severity, why. */
const rows = [...doc.matchAll(/^\| `([a-z-]+)` \| `(\w+)` \| (\w+) \| (.*) \|$/gm)].map((match) =>
  match.slice(1),
)

test('docs/doctor.md lists every finding of every check, with its severity and why it matters', () => {
  const inCode = checks.flatMap(({ name, catalog }) =>
    Object.entries(catalog).map(([id, { severity, why }]) => [name, id, severity, why]),
  )
  const common = Object.entries(COMMON).map(([id, { severity, why }]) => ['any', id, severity, why])
  expect(rows).toEqual([...inCode, ...common])
})

test('what --fix mends are findings', () => {
  const [, part = ''] = /## What `--fix` mends([\s\S]*?)\n## /.exec(doc) ?? []
  const named = [...part.matchAll(/`(\w+_\w+)`/g)].map(([, id = '']) => id)
  const ours = new Set(checks.flatMap(({ catalog }) => Object.keys(catalog)))
  const known = named.filter((id) => /^[a-z]/.test(id) && id !== 'service_role' && id !== 'queue_worker')
  expect(known.length).toBeGreaterThan(8)
  expect(known.filter((id) => !ours.has(id))).toEqual([])
})

test('what is in order needs no reason, everything else has one, and no id has two meanings', () => {
  const all = checks.flatMap(({ catalog }) => Object.entries(catalog))
  for (const [id, { severity, why }] of all) expect(why === '', id).toBe(severity === 'ok')
  expect(new Set(all.map(([id]) => id)).size).toBe(all.length)
})

test('each file of the folder is one check, named like it, and all of them are done', () => {
  const folder = fileURLToPath(new URL('../../src/doctor/checks', import.meta.url))
  const files = globSync('*.ts', { cwd: folder }).map((file) => file.replace('.ts', ''))
  expect(checks.map(({ name }) => name).sort()).toEqual(files.filter((file) => file !== 'index').sort())
})

test('a check needs only what is done before it', () => {
  for (const [index, { name, needs }] of CHECKS.entries()) {
    const before = CHECKS.slice(0, index).map((one) => one.name)
    expect(
      needs.filter((need) => !before.includes(need)),
      name,
    ).toEqual([])
  }
})
