/** docs/configuration.md is written from the settings' schema and .env.example; it is what they say today. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { configurationPage, example, page, readExample } from '../../../scripts/configuration-page.ts'
import { SETTING_NAMES } from '../../src/config/settings.ts'

test('docs/configuration.md is up to date: npm run docs:configuration writes it', () => {
  expect(readFileSync(page, 'utf8')).toBe(configurationPage())
})

test('each setting has a meaning of its own in .env.example, and one row', () => {
  const settings = readExample(readFileSync(example, 'utf8')).flatMap((section) => section.settings)
  expect(settings.map(({ name }) => name).sort()).toEqual([...SETTING_NAMES].sort())
  expect(settings.filter(({ meaning }) => meaning === '')).toEqual([])
})

test('bounds are those of the schema, and its defaults, units and other names are shown', () => {
  const row = (name: string) =>
    configurationPage()
      .split('\n')
      .find((line) => line.startsWith(`| \`${name}\` |`))
  expect(row('WORKER_DRAIN_TIMEOUT_MS')).toContain('| `25000` | ms | a whole number from 0 to 3600000 |')
  expect(row('QUEUE_TRANSPORT')).toContain('| — |  | rpc, postgres, embedded | all |')
  expect(row('SMTP_FROM')).toContain('FROM_EMAIL')
  expect(row('WORKER_TIMEOUT')).toContain('**Per queue.**')
})
