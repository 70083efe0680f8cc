/** scripts/ready.sh, which makes a clone ready before npm runs anything in it. */
import { copyFileSync, mkdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { folder, projectRoot, removeFolder, run } from '../support/cli.ts'

let clone = ''
beforeAll(async () => {
  clone = await folder()
  for (const path of ['scripts', 'queue-worker/src', 'dist', 'node_modules']) {
    mkdirSync(join(clone, path), { recursive: true })
  }
  copyFileSync(join(projectRoot, 'scripts/ready.sh'), join(clone, 'scripts/ready.sh'))
  const build = 'echo built >> builds.txt'
  writeFileSync(join(clone, 'package.json'), JSON.stringify({ name: 'clone', scripts: { build } }))
  writeFileSync(join(clone, 'node_modules/.package-lock.json'), '{}')
  writeFileSync(join(clone, 'queue-worker/src/index.ts'), '')
  writeFileSync(join(clone, 'builds.txt'), '')
})
afterAll(() => removeFolder(clone))

const builds = () => readFileSync(join(clone, 'builds.txt'), 'utf8').split('\n').length - 1
const SOURCES = [
  'scripts',
  'scripts/ready.sh',
  'package.json',
  'queue-worker/src',
  'queue-worker/src/index.ts',
]

async function makeReady(): Promise<void> {
  const { code, text } = await run(['scripts/ready.sh'], { cwd: clone, command: ['/bin/sh'] })
  expect([code, text]).toEqual([0, ''])
}

test('it builds what was never built, and again whatever is newer than what was built', async () => {
  const touch = (path: string, year: number) =>
    utimesSync(join(clone, path), new Date(Date.UTC(year, 0)), new Date(Date.UTC(year, 0)))
  await makeReady()
  expect(builds()).toBe(1)
  writeFileSync(join(clone, 'dist/index.js'), '')
  touch('dist/index.js', 2021)
  for (const path of SOURCES) touch(path, 2020)
  await makeReady()
  expect(builds()).toBe(1)
  for (const [index, path] of SOURCES.entries()) {
    touch(path, 2022)
    await makeReady()
    expect(builds(), path).toBe(index + 2)
    touch(path, 2020)
  }
})
