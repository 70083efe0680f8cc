import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { QUEUE_SUFFIXES } from '../../src/config/overrides.ts'
import { ALIASES, DEFAULTS, SETTING_NAMES } from '../../src/config/settings.ts'

const text = readFileSync(new URL('../../../.env.example', import.meta.url), 'utf8')
const shown = new Map(
  [...text.matchAll(/^#?([A-Z][A-Z0-9_]*)=(.*)$/gm)].map((match) => [match[1] ?? '', match[2] ?? '']),
)

test('.env.example shows every setting, and nothing that is none', () => {
  expect([...shown.keys()].sort()).toEqual([...SETTING_NAMES].sort())
})

test.each(SETTING_NAMES.map((name) => [name]))('.env.example shows the default of %s', (name) => {
  expect(shown.get(name)).toBe(DEFAULTS[name] ?? '')
})

test('.env.example names every alias and marks what can be set for one queue', () => {
  for (const alias of Object.values(ALIASES).flat()) expect(text).toContain(alias)
  for (const suffix of QUEUE_SUFFIXES) expect(text).toMatch(new RegExp(`WORKER_${suffix}=`))
})

test('.env.example sets nothing by itself', () => {
  expect(text).not.toMatch(/^[A-Z]/m)
})
